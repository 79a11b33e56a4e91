#!/bin/sh
# usage: root_file_system.sh PROGRAM ROOT
# Lays out what PROGRAM needs to run in a container with nothing else: itself, stripped; its
# libraries and their loader where the loader looks; licences; and, for scanners that look for known
# holes, which Debian it is and in /var/lib/dpkg/status.d which of its packages they are of.
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
  # The name that the program asks for and the file behind it (OpenBLAS has several builds).
  file=$(readlink -f "$library")
  case $library in
    */ld-linux*) target=$library ;;
    *) target=/usr/lib/$(basename "$library") ;;
  esac
  mkdir -p "$root/$(dirname "$target")"
  cp "$file" "$root/$target"
  # dpkg knows a file below /usr by the name that it had before the two were merged, or by this one.
  package=$(dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}")
  package=${package%%:*}
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
  mkdir -p "$root/usr/share/doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done
