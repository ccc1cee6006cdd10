/* Output files appear whole or not at all: full disks, folders that refuse, replaced files, links, FIFOs, open
   descriptors. */
#include "io/atomic.h"
#include "io/tensor.h"
#include "io_folder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(atomic, .init = folder_open, .fini = folder_close);

static void expect_contents(const char *path, const char *expected)
{
    size_t bytes;
    unsigned char *data = folder_get(path, &bytes);
    cr_assert(bytes == strlen(expected) && !memcmp(data, expected, bytes), "%s holds '%.*s'", path, (int)bytes, data);
    free(data);
}

/* Writes a text in two pieces; returns the first failure's code. */
static int write_text(const char *path, const char *text, char *why)
{
    atomic_file f;
    size_t n = strlen(text), half = n / 2;
    int code = atomic_open(&f, path, why);
    if (code == IO_OK)
        code = atomic_write(&f, text, half, why);
    if (code == IO_OK)
        code = atomic_write(&f, text + half, n - half, why);
    return code == IO_OK ? atomic_commit(&f, why) : code;
}

static void expect_refused(const char *path, const char *expected)
{
    char why[IO_TEXT] = "";
    unsigned before = folder_files();
    cr_assert(write_text(path, "text", why) == IO_INVALID, "%s is accepted", path);
    expect_line(why, path, expected);
    cr_assert(folder_files() == before);
}

Test(atomic, new_file_appears_at_commit)
{
    char why[IO_TEXT];
    const char *path = folder_path("new");
    atomic_file f;
    struct stat st;
    umask(027);
    cr_assert(atomic_open(&f, path, why) == IO_OK, "%s", why);
    cr_assert(atomic_write(&f, "abc", 3, why) == IO_OK, "%s", why);
    cr_assert(access(path, F_OK) != 0, "visible before commit");
    cr_assert(atomic_commit(&f, why) == IO_OK, "%s", why);
    expect_contents(path, "abc");
    cr_assert(!stat(path, &st) && (st.st_mode & 0777) == 0640, "mode %o", (unsigned)st.st_mode);
    cr_assert(folder_files() == 1);
}

Test(atomic, cancel_leaves_nothing)
{
    char why[IO_TEXT];
    atomic_file f;
    cr_assert(atomic_open(&f, folder_path("new"), why) == IO_OK, "%s", why);
    cr_assert(atomic_write(&f, "abc", 3, why) == IO_OK, "%s", why);
    cr_assert(folder_files() == 1);
    atomic_cancel(&f);
    atomic_cancel(&f);
    cr_assert(folder_files() == 0);
}

Test(atomic, two_files_at_once)
{
    char why[IO_TEXT];
    atomic_file a, b;
    cr_assert(atomic_open(&a, folder_path("a"), why) == IO_OK && atomic_open(&b, folder_path("b"), why) == IO_OK);
    cr_assert(atomic_write(&a, "first", 5, why) == IO_OK && atomic_write(&b, "second", 6, why) == IO_OK);
    cr_assert(atomic_commit(&b, why) == IO_OK && atomic_commit(&a, why) == IO_OK);
    expect_contents(folder_path("a"), "first");
    expect_contents(folder_path("b"), "second");
    cr_assert(folder_files() == 2);
}

Test(atomic, replaced_file_keeps_old_contents_until_commit_and_its_mode)
{
    char why[IO_TEXT];
    const char *path = folder_path("old");
    atomic_file f;
    struct stat st;
    folder_put(path, "old", 3);
    cr_assert(!chmod(path, 0604));
    cr_assert(atomic_open(&f, path, why) == IO_OK, "%s", why);
    cr_assert(atomic_write(&f, "newer", 5, why) == IO_OK, "%s", why);
    expect_contents(path, "old");
    cr_assert(atomic_commit(&f, why) == IO_OK, "%s", why);
    expect_contents(path, "newer");
    cr_assert(!stat(path, &st) && (st.st_mode & 0777) == 0604, "mode %o", (unsigned)st.st_mode);
}

Test(atomic, links)
{
    char why[IO_TEXT];
    struct stat st;
    folder_put(folder_path("target"), "old", 3);
    cr_assert(!symlink("target", folder_path("link")) && !symlink("nowhere", folder_path("dangling")));
    cr_assert(write_text(folder_path("link"), "through the link", why) == IO_OK, "%s", why);
    cr_assert(!lstat(folder_path("link"), &st) && S_ISLNK(st.st_mode), "the link is gone");
    expect_contents(folder_path("target"), "through the link");
    expect_refused(folder_path("dangling"), "symbolic link to a file that does not exist");
}

Test(atomic, places_that_take_no_file)
{
    folder_put(folder_path("file"), "x", 1);
    cr_assert(!mkdir(folder_path("folder"), 0700));
    expect_refused(folder_path("folder"), "is a directory");
    expect_refused(folder_path("folder/"), "is a directory");
    expect_refused(folder_path("none/"), "has no file name");
    expect_refused("", "has no file name");
    expect_refused(folder_path("none/file"), "No such file or directory");
    expect_refused(folder_path("file/below"), "Not a directory");
}

/* In the folder `locked`, as somebody who may not write there; returns what went wrong. */
static int try_without_permission(void)
{
    char why[IO_TEXT] = "";
    if (chdir(folder_path("locked")) || (!geteuid() && setuid(65534)))
        return 1;
    if (write_text("new", "text", why) != IO_INVALID ||
        strcmp(why, "new: its folder takes no new file: Permission denied"))
        return 2;
    if (write_text("old", "text", why) != IO_INVALID || strcmp(why, "old: cannot be overwritten: Permission denied"))
        return 3;
    return 0;
}

/* Root may write anywhere, so a process of its own gives that up first. */
Test(atomic, folder_without_permission)
{
    int status = 0;
    cr_assert(!mkdir(folder_path("locked"), 0755));
    folder_put(folder_path("locked/old"), "old", 3);
    cr_assert(!chmod(folder_path("locked/old"), 0444) && !chmod(folder_path("locked"), 0555));
    pid_t child = fork();
    cr_assert(child >= 0);
    if (!child)
        _exit(try_without_permission());
    cr_assert(waitpid(child, &status, 0) == child && WIFEXITED(status));
    cr_assert(WEXITSTATUS(status) == 0, "step %d", WEXITSTATUS(status));
    expect_contents(folder_path("locked/old"), "old");
    cr_assert(!chmod(folder_path("locked"), 0700) && !unlink(folder_path("locked/old")));
    cr_assert(!rmdir(folder_path("locked")), "something was left behind");
}

/* A limit on file sizes behaves as a full disk does, except for the signal. */
Test(atomic, full_disk_leaves_nothing)
{
    static char block[100000];
    char why[IO_TEXT];
    const char *path = folder_path("big.npy");
    struct rlimit limit;
    tensor t = {.type = TENSOR_U8, .rank = 1, .dim = {sizeof block}, .data = block, .bytes = sizeof block};
    const tensor *all[] = {&t};
    const char *const names[] = {"t"};
    folder_put(path, "old", 3);
    cr_assert(!getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = 65536;
    cr_assert(!setrlimit(RLIMIT_FSIZE, &limit));
    cr_assert(npy_write(path, &t, why) == IO_RESOURCE, "accepted");
    expect_line(why, path, "cannot be written: File too large");
    path = folder_path("big.safetensors");
    cr_assert(safetensors_write(path, names, all, 1, why) == IO_RESOURCE, "accepted");
    expect_line(why, path, "cannot be written: File too large");
    cr_assert(folder_files() == 1);
    expect_contents(folder_path("big.npy"), "old");
}

/* What a signal handler was before a write, it is afterwards. */
Test(atomic, signal_handling_is_restored)
{
    char why[IO_TEXT];
    struct sigaction now;
    cr_assert(write_text(folder_path("a"), "text", why) == IO_OK, "%s", why);
    cr_assert(!sigaction(SIGXFSZ, NULL, &now) && now.sa_handler == SIG_DFL);
}

Test(atomic, full_device)
{
    char why[IO_TEXT];
    if (access("/dev/full", W_OK))
        cr_skip_test("this system has no /dev/full");
    cr_assert(write_text("/dev/full", "text", why) == IO_RESOURCE, "accepted");
    expect_line(why, "/dev/full", "cannot be written: No space left on device");
    cr_assert(write_text("/dev/null", "text", why) == IO_OK, "%s", why);
}

Test(atomic, fifo_is_written_through)
{
    char why[IO_TEXT], text[16] = "";
    const char *path = folder_path("fifo");
    struct stat st;
    cr_assert(!mkfifo(path, 0600));
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    cr_assert(fd >= 0);
    cr_assert(write_text(path, "through", why) == IO_OK, "%s", why);
    cr_assert(read(fd, text, sizeof text) == 7 && !strcmp(text, "through"));
    close(fd);
    cr_assert(!stat(path, &st) && S_ISFIFO(st.st_mode), "the FIFO was replaced");
    cr_assert(folder_files() == 1);
}

/* As in `tool -o /dev/stdout >> file`: what stands in the file stays, the position moves on. */
Test(atomic, descriptors_are_written_through)
{
    char why[IO_TEXT], name[40];
    const char *path = folder_path("log");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert(fd >= 0 && write(fd, "before ", 7) == 7);
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    cr_assert(write_text(name, "inside", why) == IO_OK, "%s", why);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    cr_assert(write_text(name, " twice", why) == IO_OK, "%s", why);

    int kept = dup(STDOUT_FILENO);
    cr_assert(kept >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
    int code = write_text("/dev/stdout", " and out", why);
    cr_assert(dup2(kept, STDOUT_FILENO) == STDOUT_FILENO);
    cr_assert(code == IO_OK, "%s", why);

    cr_assert(write(fd, " after", 6) == 6);
    expect_contents(path, "before inside twice and out after");
    close(fd);
    cr_assert(folder_files() == 1);
    cr_assert(write_text(name, "x", why) == IO_INVALID, "a closed descriptor");
    expect_line(why, name, "cannot be opened for writing");
}
