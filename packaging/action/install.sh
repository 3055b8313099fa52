#!/bin/sh
# The step `install` of action.yml: downloads the archive of a release, checks its SHA-256, and puts config-backup into PATH
# for the later steps of the job. The inputs of the action are INPUT_COMMAND, INPUT_VERSION, INPUT_SHA256 and INPUT_URL.
set -eu

# An annotation of the job, and the end of the step.
fail() {
  printf '::error title=config-backup::%s\n' "$1"
  exit 1
}

[ "$INPUT_COMMAND" = install ] || fail "unknown command '$INPUT_COMMAND'; use install or replay"

# The whole repository is here, at the commit that the workflow names.
version=${INPUT_VERSION#v}
if [ -z "$version" ]; then
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$GITHUB_ACTION_PATH/Cargo.toml" | sed 1q)
fi
case $version in
  '' | *[!0-9A-Za-z.+-]*) fail "'$version' is not a version; use one such as 0.1.0" ;;
  *) ;;
esac

system=$(uname -sm)
case $system in
  'Linux x86_64') target=x86_64-unknown-linux-musl ;;
  'Linux aarch64') target=aarch64-unknown-linux-musl ;;
  'Darwin x86_64') target=x86_64-apple-darwin ;;
  'Darwin arm64') target=aarch64-apple-darwin ;;
  *) fail "a release has no archive for $system; use a Linux or macOS runner on x86_64 or arm64" ;;
esac

url=${INPUT_URL%/}
if [ -z "$url" ]; then
  [ -n "$ACTION_REPOSITORY" ] || fail "cannot tell which repository has the release; set the input url"
  url=$GITHUB_SERVER_URL/$ACTION_REPOSITORY/releases/download/v$version
fi
# A mirror's address may have a password.
shown=$(printf '%s\n' "$url" | sed 's|://[^/]*@|://|')
name=config-backup-$version-$target
folder=$RUNNER_TEMP/config-backup
rm -rf "$folder"
mkdir -p "$folder"

# Downloads a file into the folder; prints what is wrong.
download() {
  curl --fail --silent --show-error --location --globoff --proto '=http,https' --retry 3 --connect-timeout 10 --max-time 120 \
    --output "$folder/$1" --url "$url/$1" 2>&1 </dev/null
}

cause=$(download "$name.tar.gz") ||
  fail "cannot download '$shown/$name.tar.gz': $(printf '%s' "$cause" | tr '\n' ' '); check the inputs version and url"

sums=$INPUT_SHA256
if [ -z "$sums" ]; then
  cause=$(download SHA256SUMS) ||
    fail "cannot download '$shown/SHA256SUMS': $(printf '%s' "$cause" | tr '\n' ' '); set the input sha256"
  sums=$(cat "$folder/SHA256SUMS")
fi
# One sum for the archive of this runner, or lines as sha256sum writes them, of which that of the archive counts.
wanted=$(printf '%s\n' "$sums" | while read -r sum file; do
  case $file in '' | "$name.tar.gz" | "*$name.tar.gz") printf '%s' "$sum" && break ;; *) ;; esac
done)
case $wanted in
  *[!0-9a-f]*) wanted='' ;;
  *) ;;
esac
[ "${#wanted}" -eq 64 ] || fail "the SHA-256 of '$name.tar.gz' is missing; set the input sha256 to the one that you know"

if command -v sha256sum >/dev/null; then
  got=$(sha256sum <"$folder/$name.tar.gz")
else
  got=$(shasum -a 256 <"$folder/$name.tar.gz")
fi
got=${got%% *}
if [ "$got" != "$wanted" ]; then
  rm -rf "$folder"
  fail "the SHA-256 of '$shown/$name.tar.gz' is $got, not $wanted; nothing is installed: check who changed the archive"
fi

mkdir "$folder/bin"
tar -xzOf "$folder/$name.tar.gz" "$name/config-backup" >"$folder/bin/config-backup" ||
  fail "cannot unpack '$name/config-backup' from '$name.tar.gz'; the archive is not one of a release"
chmod 755 "$folder/bin/config-backup"
said=$("$folder/bin/config-backup" --version) || fail "cannot run '$folder/bin/config-backup'; see above"
[ "$said" = "config-backup $version" ] || fail "the archive has '$said', not version $version; check the input url"

printf '%s\n' "$folder/bin" >>"$GITHUB_PATH"
printf '%s is installed, SHA-256 of the archive: %s\n' "$said" "$wanted"
