#!/bin/sh
# Makes an image's files from a lock of Debian packages (ci/debian.py), as `unpack LOCK FOLDER`, on Debian.
#
# The packages are unpacked, not installed: none of their scripts runs, and nothing in the image can install another.
# What is in it is said where scanners look for it in images without a package manager: in /var/lib/dpkg/status.d.
set -eu
work=$(mktemp --directory)
grep --extended-regexp "_(all|$(dpkg --print-architecture))\.deb\$" "$1" > "$work/lock"
mkdir --parents "$2"
root=$(realpath "$2")
cd "$work"

apt-get update --quiet=2
download() { xargs apt-get download --quiet=2 --option APT::Sandbox::User=root; }
if sed --regexp-extended 's/^\S+  ([^_]+)_([^_]+)_.*/\1=\2/; s/%3a/:/' lock | download; then
  sha256sum --check --strict --quiet lock
else
  # The archive keeps the newest version only. apt checks its signature; the same image it is no longer.
  echo "$1 names versions that the archive no longer has: the newest are taken; python -m ci.debian makes the lock anew" >&2
  rm --force ./*.deb
  sed --regexp-extended 's/^\S+  ([^_]+)_.*/\1/' lock | download
fi

status=$root/var/lib/dpkg/status.d
mkdir --parents "$status"
for package in *.deb; do
  dpkg-deb --extract "$package" "$root"
  name=$(dpkg-deb --field "$package" Package)
  dpkg-deb --field "$package" > "$status/$name"
  dpkg-deb --ctrl-tarfile "$package" | tar --extract --to-stdout ./md5sums > "$status/$name.md5sums"
done
rm -r "$work"

# What the script of ca-certificates would make, where programs and OpenSSL look for it.
if [ -d "$root/usr/share/ca-certificates" ]; then
  mkdir --parents "$root/etc/ssl/certs" "$root/usr/lib/ssl"
  cat "$root"/usr/share/ca-certificates/mozilla/*.crt > "$root/etc/ssl/certs/ca-certificates.crt"
  ln --symbolic /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"
fi

# Of documentation the licences stay. iconv's tables of old character sets are the C library's alone: nothing asks for them.
cd "$root/usr"
find share/doc -type f -not -name copyright -delete
find share/doc -type d -empty -delete
rm -rf share/info share/lintian share/locale share/man lib/*/gconv
