// One line per event, to stdout (Coder's script log) and to a file that outlives the workspace's stop.
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { attempt } from "./attempt.ts";

/** The file keeps the newest lines of the last stops: above the first size it is cut down to the second, bytes. */
const FILE_MAX_BYTES = 256 * 1024;
const FILE_KEEP_BYTES = 64 * 1024;
/** A line is cut here, so that no server's answer fills the log, characters. */
const LINE_MAX_CHARS = 2000;

export interface Log {
  info(line: string): void;
  /** Written to stderr, with `Error: ` in front. */
  error(line: string): void;
}

/**
 * Opens the log. `secrets` are replaced wherever they would appear. `file` is made owner-only; when it is null, or
 * can't be opened safely, the log goes to stdout alone and says why.
 */
export function openLog(file: string | null, secrets: readonly string[]): Log {
  let fd: number | null = null;

  const clean = (line: string): string => {
    let text = line;
    for (const secret of secrets) if (secret !== "") text = text.replaceAll(secret, "[redacted]");
    // Control characters of a server's answer must not drive the terminal of whoever reads the log.
    text = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
    return text.length > LINE_MAX_CHARS ? `${text.slice(0, LINE_MAX_CHARS)}...` : text;
  };
  const write = (stream: 1 | 2, line: string): void => {
    const text = clean(line);
    // A closed pipe or a full disk must not stop the shutdown: the other of the two may still work.
    attempt(() => writeSync(stream, `${text}\n`), 0);
    if (fd !== null) attempt(() => writeSync(fd as number, `${new Date().toISOString()} ${text}\n`), 0);
  };
  const log: Log = {
    info: (line) => write(1, line),
    error: (line) => write(2, `Error: ${line}`),
  };

  if (file !== null) {
    try {
      fd = openOwnFile(file);
    } catch (error) {
      log.info(`Warning: no log file at ${file}: ${(error as Error).message}`);
    }
  }
  return log;
}

/** Opens `path` for appending without following a link or touching a file that is not ours alone. */
function openOwnFile(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.nlink !== 1 || stat.uid !== process.geteuid?.()) {
      throw new Error("it is not a regular file of this user");
    }
    fchmodSync(fd, 0o600);
    if (stat.size > FILE_MAX_BYTES) keepTail(fd, stat.size);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function keepTail(fd: number, size: number): void {
  const tail = Buffer.alloc(FILE_KEEP_BYTES);
  const length = readSync(fd, tail, 0, FILE_KEEP_BYTES, size - FILE_KEEP_BYTES);
  ftruncateSync(fd, 0);
  writeSync(fd, tail.subarray(tail.indexOf("\n") + 1, length));
}
