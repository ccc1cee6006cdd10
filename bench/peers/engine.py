"""What an engine is to the worker.

An engine module has NAMES (one per way of calling it, in display order), start(settings) which loads it or raises Missing,
version(), and prepare(name, case) which returns a Prepared or raises Unfit: 'not for this row', with the reason."""
import dataclasses
import typing


class Missing(Exception):
    """The peer is not there; the text says what was tried."""


class Unfit(Exception):
    """This way of calling does not exist for this row."""


@dataclasses.dataclass
class Settings:
    threads: int
    isa: str          # 'best', or 'avx2': every engine held to it
    build: str        # fovea's build directory
    peers: str        # where the installed peers live
    long: bool = False


@dataclasses.dataclass
class Prepared:
    run: typing.Callable[[], object]           # one call, nothing else: this is what is timed
    output: typing.Callable[[], object]        # after a run: floats [batch, hq, lq, dv], or None for GEMMs alone
    note: str = ""
    attention: bool = True                     # False: only the two products; listed, never ranked
    private: tuple = ()                        # (address, bytes) of copies of k and v that a cold row must push out too
    hidden: bool = False                       # it keeps k and v where we cannot name them: flush by streaming
    keep: tuple = ()                           # objects that must live as long as this
