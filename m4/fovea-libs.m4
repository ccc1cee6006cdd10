dnl Optional libraries and the summary of what their absence removes.

dnl FOVEA_WITH(NAME, VARIABLE, PKG-CONFIG MODULE or nothing, LIBS, HEADER, EXPRESSION, WHAT ITS ABSENCE REMOVES, [LANGUAGE])
dnl --with-NAME insists, --without-NAME leaves it out, else it is used when a program links with it.
dnl Sets have_NAME, HAVE_<VARIABLE>, <VARIABLE>_CFLAGS, <VARIABLE>_LIBS, fovea_pc_NAME (found through pkg-config).
AC_DEFUN([FOVEA_WITH], [
AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [do without $7])], [], [with_$1=auto])
have_$1=no
fovea_pc_$1=no
AC_ARG_VAR([$2_CFLAGS], [compiler flags for $1, instead of asking pkg-config])
AC_ARG_VAR([$2_LIBS], [linker flags for $1, instead of asking pkg-config])
AS_IF([test "x$with_$1" != xno], [
    m4_if([$3], [], [],
        [AS_IF([test "x$$2_LIBS" = x && test "x$PKG_CONFIG" != x && $PKG_CONFIG --exists $3], [
            $2_CFLAGS=`$PKG_CONFIG --cflags $3`
            $2_LIBS=`$PKG_CONFIG --libs $3`
            fovea_pc_$1=yes])])
    AS_IF([test "x$$2_LIBS" = x], [$2_LIBS="$4"])
    m4_if([$8], [], [], [AC_LANG_PUSH([$8])])
    fovea_save_CPPFLAGS=$CPPFLAGS; fovea_save_LIBS=$LIBS
    CPPFLAGS="$CPPFLAGS $$2_CFLAGS"; LIBS="$$2_LIBS $LIBS"
    AC_MSG_CHECKING([for $1])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <$5>]], [[(void)($6);]])], [have_$1=yes])
    AC_MSG_RESULT([$have_$1])
    CPPFLAGS=$fovea_save_CPPFLAGS; LIBS=$fovea_save_LIBS
    m4_if([$8], [], [], [AC_LANG_POP([$8])])
    AS_IF([test "x$have_$1$with_$1" = xnoyes], [AC_MSG_ERROR([--with-$1 was given, but no program links with $$2_LIBS])])])
AS_IF([test "x$have_$1" = xyes], [AC_DEFINE([HAVE_$2], [1], [$1 is used.])],
    [$2_CFLAGS=; $2_LIBS=
     fovea_missing="$fovea_missing
  without $1: no $7"])
])

AC_DEFUN([FOVEA_SUMMARY], [
fovea_sets="scalar generic"
for fovea_set in avx2 avx512 avx512_bf16 amx neon; do
    eval "fovea_answer=\$fovea_isa_$fovea_set"
    AS_IF([test "x$fovea_answer" = xyes], [fovea_sets="$fovea_sets $fovea_set"])
done
AS_ECHO(["
fovea $PACKAGE_VERSION for $host
  compiler          $CC $CFLAGS
  own flags         $FV_CFLAGS
  instruction sets  $fovea_sets
  library           shared: $enable_shared, static: $enable_static, exports limited by: $fovea_exports
  tool              $enable_tool
  SLEEF             $have_sleef
  pthreadpool       $have_pthreadpool
  unit tests        Criterion: $have_criterion
  benchmarks        Google Benchmark: $have_benchmark
  mini tiles        $enable_mini_tiles
  sanitizers        $enable_sanitize"])
AS_IF([test "x$enable_tool" = xno], [fovea_missing="$fovea_missing
  --disable-tool: no command-line tool, no man page, no unit tests, no tests of the command line"])
AS_IF([test "x$fovea_missing" != x], [AS_ECHO(["$fovea_missing"])])
AS_ECHO([""])
])
