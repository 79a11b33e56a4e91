#!/bin/sh
# usage: loaded_packages.sh PROGRAM
# Prints dpkg's status entries of the packages that PROGRAM is made of: those whose libraries it
# loads, and those of which only headers are compiled into it.
set -eu
{
  ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
    file=$(readlink -f "$library")
    # dpkg knows a file by its path below /usr, or by the path without /usr that it had before the
    # two were merged.
    package=$(dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}")
    echo "${package%%: *}"
  done
  echo libcli11-dev
  echo nlohmann-json3-dev
} | sort -u | while read -r package; do
  dpkg-query -s "$package"
  echo
done
