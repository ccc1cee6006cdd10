dnl FOVEA_LD_VERSION_SCRIPT: does the linker take a version script? Then it limits the exported symbols and gives them a
dnl version; else libtool's list does the limiting. Conditional FV_VERSION_SCRIPT.
AC_DEFUN([FOVEA_LD_VERSION_SCRIPT], [
AC_MSG_CHECKING([whether the linker takes a version script])
cat >conftest.map <<EOF
FOVEA_TEST { global: fovea_*; local: *; };
EOF
fovea_save_LDFLAGS=$LDFLAGS; fovea_save_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -fPIC -shared"
LDFLAGS="$LDFLAGS -Wl,--version-script=conftest.map"
AC_LINK_IFELSE([AC_LANG_SOURCE([[int fovea_x(void); int fovea_x(void) { return 0; }]])],
    [fovea_version_script=yes], [fovea_version_script=no])
LDFLAGS=$fovea_save_LDFLAGS; CFLAGS=$fovea_save_CFLAGS
rm -f conftest.map
AC_MSG_RESULT([$fovea_version_script])
AM_CONDITIONAL([FV_VERSION_SCRIPT], [test "x$fovea_version_script" = xyes])
AS_IF([test "x$fovea_version_script" = xyes], [fovea_exports="version script"], [fovea_exports="libtool's symbol list"])
dnl A symbol that nobody defines shall fail when the library is linked, not when a program is. A sanitizer's runtime comes
dnl with the program, so there the rule cannot hold.
FV_NO_UNDEFINED=
AS_IF([test "x$enable_sanitize" = xno], [
    AC_MSG_CHECKING([whether the linker takes -z defs])
    fovea_save_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS -Wl,-z,defs"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [FV_NO_UNDEFINED=-Wl,-z,defs; AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
    LDFLAGS=$fovea_save_LDFLAGS])
AC_SUBST([FV_NO_UNDEFINED])
])
