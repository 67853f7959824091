// Shells for the script whose /tmp or home folder is another one than for the rest of the machine, or whose user is.
import { spawnSync } from "node:child_process";
import { findProgram } from "./runtimes.ts";

/** The script's own PATH has none of the programs that prepare its surroundings. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** No status that the script ends with. */
const EXIT_NOT_PREPARED = 99;
/** A user who owns nothing: "nobody" of Debian, Alpine and the like. */
export const OTHER_UID = 65534;
const AS_OTHER = [`--reuid=${OTHER_UID}`, `--regid=${OTHER_UID}`, "--clear-groups"];

/** Why this machine has no mounts of our own; "" where it has. */
export const NO_MOUNTS = ["node", "bun", "deno"].some((name) => /^\/(tmp|mnt)\//.test(findProgram(name)))
  ? "a runtime is in what would be covered"
  : whyNot("unshare", ["-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]);
/** Why this machine runs nothing as another user, the npm packages' programs included; "" where it does. */
export const NO_OTHER_USER = whyNot("setpriv", [...AS_OTHER, findProgram("bun"), "--version"]);

/**
 * Nobody else sees the mounts that `prepare` makes. It finds the home folder also at /mnt/home, and the one folder of
 * PATH at /mnt/bin and in $bin, since it may cover their usual places. `enter` is what the shell runs in.
 */
export function shellWithMounts(prepare: readonly string[], enter = ""): string[] {
  const text = [
    "(",
    "set -e",
    `bin=$PATH PATH=${SYSTEM_PATH}`,
    "mount -t tmpfs tmpfs /mnt",
    "mkdir /mnt/home /mnt/bin",
    'mount --bind "$HOME" /mnt/home',
    'mount --bind "$bin" /mnt/bin',
    ...prepare,
    ") >&2",
    `[ $? -eq 0 ] || exit ${EXIT_NOT_PREPARED}`,
    'cd "$HOME"',
    `exec ${enter} /bin/sh "$@"`,
  ].join("\n");
  return [findProgram("unshare"), "-m", "/bin/sh", "-c", text, "sh"];
}

/** Its root has everything but /tmp; the home folder is /h there and PATH is /b. */
export function shellWithoutTmp(): string[] {
  return shellWithMounts(
    [
      "mkdir /mnt/root /mnt/root/h /mnt/root/b",
      "mount --bind /mnt/home /mnt/root/h",
      "mount --bind /mnt/bin /mnt/root/b",
      "for entry in /*; do",
      "  case $entry in /tmp | /mnt) continue ;; esac",
      '  if [ -L "$entry" ]; then cp -P "$entry" /mnt/root; fi',
      '  if [ -d "$entry" ] && [ ! -L "$entry" ]; then',
      '    mkdir "/mnt/root$entry"',
      '    mount --rbind "$entry" "/mnt/root$entry"',
      "  fi",
      "done",
      "[ ! -e /mnt/root/tmp ]",
    ],
    `env HOME=/h PATH=/b "$(PATH=${SYSTEM_PATH} command -v chroot)" /mnt/root`,
  );
}

export function shellOfOtherUser(): string[] {
  return [findProgram("setpriv"), ...AS_OTHER, "/bin/sh"];
}

function whyNot(program: string, args: readonly string[]): string {
  const { error, status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (error) return `no ${program} here`;
  return status === 0 ? "" : `${program}: ${stderr.trim()}`;
}
