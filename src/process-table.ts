// What the system says of a process: when it started, what it runs, which ports it listens on. Linux /proc, else ps.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { attempt } from "./attempt.ts";

export interface ProcessInfo {
  readonly pid: number;
  readonly startedAtMs: number;
  /** Name of the executable's file, e.g. "agentapi". */
  readonly executable: string;
}

/** Linux reports start times in ticks of 1/100 s on every architecture that Coder supports (USER_HZ). */
const TICK_MS = 10;
const PS_TIMEOUT_MS = 1000;

/** Returns null when there is no such process, or only its zombie. */
export function inspectProcess(pid: number): ProcessInfo | null {
  return hasProc() ? inspectByProc(pid) : inspectByPs(pid);
}

/** TCP ports that a process listens on; null where the system does not tell. */
export function listeningPorts(pid: number): number[] | null {
  return portsAmong(listeningSockets(), pid);
}

/** Processes that listen on `port`. Empty where the system does not tell. */
export function listenersOn(port: number): ProcessInfo[] {
  const sockets = new Map([...listeningSockets()].filter(([, its]) => its === port));
  if (sockets.size === 0) return [];
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => portsAmong(sockets, pid)?.length)
    .map(inspectByProc)
    .filter((info) => info !== null);
}

function portsAmong(sockets: ReadonlyMap<string, number>, pid: number): number[] | null {
  const descriptors = attempt(() => readdirSync(`/proc/${pid}/fd`), null);
  return (
    descriptors
      ?.map((fd) => sockets.get(linkOrEmpty(`/proc/${pid}/fd/${fd}`)))
      .filter((port) => port !== undefined) ?? null
  );
}

function hasProc(): boolean {
  return readOrEmpty("/proc/self/stat") !== "";
}

function inspectByProc(pid: number): ProcessInfo | null {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  // The command's name, in parentheses, may itself hold spaces and parentheses.
  const match = /^\d+ \((.*)\) (.*)$/s.exec(stat);
  const fields = match?.[2]?.split(" ") ?? [];
  if (match === null || fields[0] === "Z" || fields[0] === "X") return null;

  const bootSeconds = Number(/^btime (\d+)$/m.exec(readOrEmpty("/proc/stat"))?.[1] ?? 0);
  const executable = basename(linkOrEmpty(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, "");
  return {
    pid,
    // Field 22 of proc_pid_stat(5); `fields` starts at the third.
    startedAtMs: bootSeconds * 1000 + Number(fields[19]) * TICK_MS,
    executable: executable || match[1]!,
  };
}

/** What /proc/PID/fd calls a listening TCP socket -> its port. */
function listeningSockets(): Map<string, number> {
  const sockets = new Map<string, number>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readOrEmpty(table).split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      // 0A is TCP_LISTEN; the address is HEXADDRESS:HEXPORT.
      if (state === "0A") sockets.set(`socket:[${inode}]`, Number.parseInt(local?.split(":")[1] ?? "", 16));
    }
  }
  return sockets;
}

function inspectByPs(pid: number): ProcessInfo | null {
  const ps = (): string =>
    execFileSync("env", ["LC_ALL=C", "ps", "-o", "stat=,lstart=,comm=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: PS_TIMEOUT_MS,
    });
  const match = /^\s*([^Z\s]\S*)\s+(\S+ \S+ +\d+ [\d:]+ \d{4})\s+(.*\S)\s*$/.exec(attempt(ps, ""));
  return (
    match && {
      pid,
      startedAtMs: Date.parse(match[2]!),
      executable: basename(match[3]!),
    }
  );
}

function readOrEmpty(path: string): string {
  return attempt(() => readFileSync(path, "utf8"), "");
}

function linkOrEmpty(path: string): string {
  return attempt(() => readlinkSync(path), "");
}
