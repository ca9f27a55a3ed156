#!/bin/sh
# Makes a Debian 12 handheld start Ghi Thu. For a person of branch IT, as root, once; and again after a change of the
# port or of the files beside this one. What is there already stays: settings, store, keys and releases.
#
#   sh install.sh WHEELHOUSE
#
# WHEELHOUSE is a folder with the wheels of a release and requirements.lock (README.md says how to make one). Nothing is
# fetched from the network but Debian's own packages, where they are missing.
# GHITHU_DESTDIR=FOLDER puts all files under FOLDER instead, without packages, users and services: to make an image.
set -eu

if [ $# -ne 1 ] || [ ! -f "$1/requirements.lock" ]; then
  echo "Cách dùng / usage: sh install.sh WHEELHOUSE (thư mục có các tập tin .whl và requirements.lock)" >&2
  exit 2
fi
wheelhouse=$1
here=$(cd "$(dirname "$0")" && pwd)
root=${GHITHU_DESTDIR:-}

if [ -z "$root" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "Hãy chạy bằng quyền root. / Run this as root." >&2
    exit 2
  fi
  for package in chromium chromium-sandbox fonts-dejavu-core cage python3-venv bluez modemmanager polkitd libpam-systemd; do
    dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q "ok installed" ||
      missing="${missing:-} $package"
  done
  # shellcheck disable=SC2086 -- A list of names.
  [ -z "${missing:-}" ] || apt-get install --yes --no-install-recommends $missing
  getent passwd ghithu >/dev/null ||
    useradd --system --user-group --home-dir /var/lib/ghithu --no-create-home --shell /usr/sbin/nologin ghithu
  getent passwd ghithu-kiosk >/dev/null ||
    useradd --system --user-group --home-dir /run/ghithu-kiosk --no-create-home --shell /usr/sbin/nologin ghithu-kiosk
fi

# put MODE SOURCE TARGET: whole or not at all, for the power may fail here too.
put() {
  mkdir -p "$(dirname "$root$3")"
  cp "$2" "$root$3.new"
  chmod "$1" "$root$3.new"
  mv -f "$root$3.new" "$root$3"
}

[ -f "$root/etc/ghithu/device.env" ] || put 644 "$here/device.env" /etc/ghithu/device.env
port=$(sed -n 's/^GHITHU_PORT=\([0-9][0-9]*\)$/\1/p' "$root/etc/ghithu/device.env")
if [ -z "$port" ]; then
  echo "Thiếu GHITHU_PORT trong / is missing in $root/etc/ghithu/device.env" >&2
  exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed "s/@PORT@/$port/" "$here/chromium-policy.json" > "$scratch/policy.json"
put 644 "$scratch/policy.json" /etc/chromium/policies/managed/ghithu.json
put 644 "$here/chromium-flags" /usr/local/lib/ghithu/chromium-flags
put 755 "$here/ghithu-kiosk" /usr/local/lib/ghithu/ghithu-kiosk
put 644 "$here/60-ghithu.rules" /etc/udev/rules.d/60-ghithu.rules
put 644 "$here/50-ghithu-polkit.rules" /etc/polkit-1/rules.d/50-ghithu.rules
for unit in ghithu-device.service ghithu-kiosk.service ghithu-update.service ghithu-update.timer; do
  put 644 "$here/$unit" "/etc/systemd/system/$unit"
done

# The keeper: what judges releases, outside of all of them, in one file.
mkdir -p "$scratch/keeper/device"
cp "$here"/../__init__.py "$here"/../checkpoints.py "$here"/../release*.py "$scratch/keeper/device/"
printf 'import sys\n\nfrom device.releases import main\n\nsys.exit(main())\n' > "$scratch/keeper/__main__.py"
python3 -m zipapp "$scratch/keeper" --output "$scratch/keeper.pyz"
put 644 "$scratch/keeper.pyz" /opt/ghithu/keeper.pyz
printf '#!/bin/sh\nexec /usr/bin/python3 -I /opt/ghithu/keeper.pyz "$@"\n' > "$scratch/ghithu-releases"
put 755 "$scratch/ghithu-releases" /usr/local/sbin/ghithu-releases

# Root alone writes the update folder: what lies in it is run.
mkdir -p "$root/var/lib/ghithu-updates"
chmod 700 "$root/var/lib/ghithu-updates"
sync

keeper() {
  python3 -I "$root/opt/ghithu/keeper.pyz" --root "$root/opt/ghithu" --home "$root/var/lib/ghithu" "$@"
}
if [ ! -e "$root/opt/ghithu/current" ]; then
  keeper install "$wheelhouse"
  keeper activate
fi

if [ -z "$root" ]; then
  udevadm control --reload
  udevadm trigger --subsystem-match=tty --subsystem-match=usbmisc
  systemctl daemon-reload
  systemctl set-default graphical.target
  systemctl enable ghithu-device.service ghithu-kiosk.service ghithu-update.timer
  systemctl restart ghithu-update.timer ghithu-device.service ghithu-kiosk.service
fi
echo "Xong. Bước kế tiếp: cấp máy vào hệ thống (README.md, \"enrol\"). / Done. Next: enrol the handheld."
