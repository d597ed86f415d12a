#!/usr/bin/env bash
# Installs or updates OpenAlgo on Ubuntu or Debian: install.sh DOMAIN [EMAIL]
# Adds the user openalgo, /opt/openalgo (program), /var/lib/openalgo (data), openalgo.service and a site for nginx.
set -euo pipefail

domain=${1:-}
email=${2:-}
home=/opt/openalgo
data=/var/lib/openalgo
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() { echo "install.sh: $*" >&2; exit 1; }
step() { echo "== $*"; }
manage() { runuser -u openalgo -- env HOME="$data" python3 "$home/manage.py" "$@" --data-dir "$data"; }

[ -n "$domain" ] || fail "say the name of the server: install.sh trade.example.com you@example.com"
[[ $domain =~ ^[A-Za-z0-9.-]+$ ]] || fail "$domain is no host name"
[ "$(id -u)" = 0 ] || fail "run it as root: sudo $0 $*"
command -v apt-get >/dev/null || fail "this script knows Ubuntu and Debian; INSTALL.md has the parts for others"

step "packages"
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
apt-get update -q
apt-get install -qy python3 python3-venv nginx certbot python3-certbot-nginx rsync
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed; this system has $(python3 -V)"

step "user and directories"
id openalgo >/dev/null 2>&1 || useradd --system --home-dir "$data" --shell /usr/sbin/nologin openalgo
install -d -o openalgo -g openalgo -m 0755 "$home"
install -d -o openalgo -g openalgo -m 0700 "$data"

step "stop and back up what runs"
if systemctl is-active --quiet openalgo; then
  systemctl stop openalgo
  manage backup
fi

step "program"
rsync -a --delete --chown=openalgo:openalgo --exclude=.git --exclude=.venv --exclude=.env --exclude=/var --exclude=node_modules "$here/" "$home/"

step "prepare"
manage setup
set_to() { # NAME VALUE: only when the line is still as shipped, so that your changes stay
  runuser -u openalgo -- sed -i "s|^$1=\(http://127.0.0.1:5000\)\{0,1\}$|$1=$2|" "$data/.env"
}
set_to HOST_SERVER "https://$domain"
set_to WEBSOCKET_URL "wss://$domain/ws"
set_to TRUSTED_PROXIES "127.0.0.1/32"
set_to CORS_ALLOWED_ORIGINS "https://$domain"

step "service"
install -m 0644 "$home/install/systemd/openalgo.service" "$home/install/systemd/openalgo@.service" /etc/systemd/system/
systemctl daemon-reload
systemctl enable openalgo
systemctl restart openalgo

step "nginx"
site=/etc/nginx/sites-available/openalgo
[ -f "$site" ] || sed "s/DOMAIN/$domain/" "$home/install/nginx/openalgo.conf" > "$site"
ln -sf "$site" /etc/nginx/sites-enabled/openalgo
nginx -t
systemctl reload nginx
if [ -n "$email" ]; then
  certbot --nginx --non-interactive --agree-tos --redirect -m "$email" -d "$domain"
else
  echo "no e-mail given: run 'certbot --nginx -d $domain' yourself; until then only http works"
fi

step "done"
manage doctor || true
echo "Make the first user: sudo -u openalgo python3 $home/manage.py user add NAME --admin --data-dir $data"
