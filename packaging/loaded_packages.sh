#!/bin/sh
# usage: loaded_packages.sh PROGRAM
# Prints what dpkg knows of the packages that PROGRAM is made of, as in dpkg's status file: those whose
# libraries it loads, and those whose headers alone are compiled into it.
set -eu
{
  ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
    file=$(readlink -f "$library")
    # dpkg knows a file below /usr by the name that it had before the two were merged, or by this one.
    package=$(dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}")
    echo "${package%%: *}"
  done
  echo libcli11-dev
  echo nlohmann-json3-dev
} | sort -u | while read -r package; do
  dpkg-query -s "$package"
  echo
done
