#!/bin/sh
# usage: root_file_system.sh PROGRAM ROOT
# Lays out all files that PROGRAM needs in a container: the stripped program, its libraries and
# their loader in the places where the loader looks, and licences. Scanners for known
# vulnerabilities find Debian's version in /etc, and the libraries' packages in
# /var/lib/dpkg/status.d.
set -eu
program=$1 root=$2

mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/etc" "$root/tmp" "$root/../empty" \
  "$root/var/lib/dpkg/status.d"
chmod 1777 "$root/tmp"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
strip -o "$root/usr/bin/$(basename "$program")" "$program"
echo 'nonroot:x:65532:65532::/:/nonexistent' >"$root/etc/passwd"
echo 'nonroot:x:65532:' >"$root/etc/group"
cp /etc/os-release /etc/debian_version "$root/etc/"

# Lines of ldd are `NAME => PATH (ADDRESS)` and `LOADER (ADDRESS)`.
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
  # The library is copied under the name that the program asks for, because OpenBLAS has several
  # builds behind one name.
  file=$(readlink -f "$library")
  case $library in
    */ld-linux*) target=$library ;;
    *) target=/usr/lib/$(basename "$library") ;;
  esac
  mkdir -p "$root/$(dirname "$target")"
  cp "$file" "$root/$target"
  # dpkg knows a file by its path below /usr, or by the path without /usr that it had before the two
  # were merged.
  package=$(dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}")
  package=${package%%:*}
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
  mkdir -p "$root/usr/share/doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done
