// The PID file of AgentAPI: it outlives containers, so its number is a hint and no proof.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

export interface PidFile {
  readonly pid: number;
  /** When AgentAPI wrote it, ms since the epoch. */
  readonly writtenAtMs: number;
}

/** AgentAPI writes "<pid>\n"; Linux PIDs have at most 7 digits, macOS's fewer. */
const MAX_BYTES = 32;

/** Reads the PID file. Returns a sentence that says what is wrong with it where it can't be used. */
export function readPidFile(path: string): PidFile | string {
  let fd: number;
  try {
    // A pipe in its place must not block the shutdown.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? `No PID file at ${path}` : `PID file ${path} can't be read: ${code}`;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return `PID file ${path} is no regular file`;
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    const text = buffer.toString("utf8", 0, readSync(fd, buffer, 0, buffer.length, 0)).trim();
    const pid = /^\d+$/.test(text) ? Number(text) : 0;
    // 1 is the container's init, often the Coder agent itself.
    if (pid <= 1 || text.length > 10) return `PID file ${path} holds no usable process id`;
    return { pid, writtenAtMs: stat.mtimeMs };
  } finally {
    closeSync(fd);
  }
}
