#!/bin/sh
# AgentAPI shutdown: saves the end of the conversation to Coder, then ends AgentAPI. Exits 0 whatever happens.
#
# GENERATED from src/ by "npm run build"; edit src/launcher.sh and src/*.ts instead.
#
# Environment (an unset or empty variable means its default):
#   ARG_TASK_ID                         task that the snapshot belongs to; none: no snapshot
#   ARG_TASK_LOG_SNAPSHOT               "false": no snapshot (true)
#   ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES  newest messages to keep (10)
#   ARG_AGENTAPI_PORT                   port of AgentAPI on this machine (3284)
#   ARG_MODULE_DIR_NAME                 folder below $HOME for the log, agentapi-shutdown.log
#   ARG_PID_FILE_PATH                   PID file of AgentAPI ($HOME/$ARG_MODULE_DIR_NAME/agentapi.pid)
#   ARG_ENABLE_STATE_PERSISTENCE        "true": AgentAPI >= 0.12.0 saves its state first (false)
#   ARG_STATE_FILE_PATH                 where it does ($HOME/$ARG_MODULE_DIR_NAME/agentapi-state.json)
#   ARG_SHUTDOWN_TIMEOUT                seconds that all of this may take (8)
#   CODER_AGENT_URL, CODER_AGENT_TOKEN  set by the Coder agent

set -u

have() {
  command -v "$1" >/dev/null 2>&1
}

# Gives the program to a runtime on standard input: no file is written, so /tmp may be read-only or noexec, and no
# here-document, for which bash would write one. Options of the user's own programs must not reach ours.
run() {
  printf '%s\n' "$PROGRAM" | NODE_OPTIONS='' "$@"
}

main() {
  have node && run node - && return
  have bun && run bun run - && return
  have deno && run deno run --allow-all --no-config --quiet --ext=cjs - && return
  echo 'Error: no JavaScript runtime on PATH (node >= 18, bun or deno); install one to save log snapshots' >&2
  echo 'Log snapshot capture failed, continuing shutdown'
  echo 'Shutdown complete'
}

PROGRAM='"use strict";
var __create = Object.create;
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __getProtoOf = Object.getPrototypeOf;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toESM = (mod, isNodeMode, target) => (target = mod != null ? __create(__getProtoOf(mod)) : {}, __copyProps(
  // If the importer is in node compatibility mode or this is not an ESM
  // file that has been converted to a CommonJS file using a Babel-
  // compatible transform (i.e. "__esModule" has not been set), then set
  // "default" to the CommonJS "module.exports" for node compatibility.
  isNodeMode || !mod || !mod.__esModule ? __defProp(target, "default", { value: mod, enumerable: true }) : target,
  mod
));

// src/config.ts
var import_node_os = require("node:os");
var import_node_path = require("node:path");
function readConfig(env) {
  const faults = [];
  const value = (name) => env[name] ?? "";
  const boolean = (name, fallback) => {
    const text = value(name);
    if (text === "") return fallback;
    if (text !== "true" && text !== "false") {
      faults.push(`${name} must be true or false, not "${text}"; using ${fallback}`);
      return fallback;
    }
    return text === "true";
  };
  const number = (name, fallback, min, max) => {
    const text = value(name);
    if (text === "") return fallback;
    const parsed = Number(text);
    if (!(parsed >= min && parsed <= max)) {
      faults.push(`${name} must be a number from ${min} to ${max}, not "${text}"; using ${fallback}`);
      return fallback;
    }
    return parsed;
  };
  const home = value("HOME") || (0, import_node_os.homedir)();
  const moduleDir = value("ARG_MODULE_DIR_NAME");
  const inModuleDir = (file) => moduleDir === "" ? null : (0, import_node_path.join)(home, moduleDir, file);
  return Object.freeze({
    taskId: value("ARG_TASK_ID"),
    snapshotEnabled: boolean("ARG_TASK_LOG_SNAPSHOT", true),
    maxMessages: Math.floor(number("ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES", 10, 1, 1e3)),
    agentApiPort: Math.floor(number("ARG_AGENTAPI_PORT", 3284, 1, 65535)),
    statePersistence: boolean("ARG_ENABLE_STATE_PERSISTENCE", false),
    stateFile: value("ARG_STATE_FILE_PATH") || inModuleDir("agentapi-state.json"),
    pidFile: value("ARG_PID_FILE_PATH") || inModuleDir("agentapi.pid"),
    logFile: inModuleDir("agentapi-shutdown.log"),
    budgetMs: number("ARG_SHUTDOWN_TIMEOUT", 8, 2, 600) * 1e3,
    coderUrl: value("CODER_AGENT_URL"),
    coderToken: value("CODER_AGENT_TOKEN"),
    faults
  });
}

// src/deadline.ts
var Deadline = class _Deadline {
  constructor(endMs, now = () => performance.now()) {
    this.endMs = endMs;
    this.now = now;
  }
  endMs;
  now;
  /** A deadline `budgetMs` from now. */
  static in(budgetMs, now = () => performance.now()) {
    return new _Deadline(now() + budgetMs, now);
  }
  /** Milliseconds left, never negative. */
  remainingMs() {
    return Math.max(0, this.endMs - this.now());
  }
  /** An earlier deadline that leaves `reserveMs` of this one for what comes after. */
  reserving(reserveMs) {
    return new _Deadline(this.endMs - reserveMs, this.now);
  }
  /** An earlier deadline that takes at most `capMs` of what is left. */
  capped(capMs) {
    return new _Deadline(Math.min(this.endMs, this.now() + capMs), this.now);
  }
  /** Waits `ms`, or until the deadline when that is sooner. */
  async sleep(ms) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(ms, this.remainingMs())));
  }
};

// src/errors.ts
var ShutdownError = class extends Error {
};
var NetworkError = class extends ShutdownError {
  code;
  constructor(what, cause) {
    const { code, message } = cause;
    super(`${what}: ${message || code || "connection failed"}`, { cause });
    this.code = code ?? "";
  }
};
var HttpError = class extends ShutdownError {
  constructor(what, status, detail, retryAfterMs2 = null) {
    super(`${what}: HTTP ${status}${detail && `: ${detail}`}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs2;
  }
  status;
  retryAfterMs;
};
var DeadlineError = class extends ShutdownError {
  constructor(what, spentMs) {
    super(`${what}: no answer within ${(spentMs / 1e3).toFixed(1)} s`);
  }
};
var WireError = class extends ShutdownError {
  constructor(source, what) {
    super(`${source}: ${what}`);
  }
};

// src/log.ts
var import_node_fs = require("node:fs");
var import_node_path2 = require("node:path");
var FILE_MAX_BYTES = 256 * 1024;
var FILE_KEEP_BYTES = 64 * 1024;
var LINE_MAX_CHARS = 2e3;
function openLog(file, secrets) {
  let fd = null;
  const clean = (line) => {
    let text = line;
    for (const secret of secrets) if (secret !== "") text = text.replaceAll(secret, "[redacted]");
    text = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
    return text.length > LINE_MAX_CHARS ? `${text.slice(0, LINE_MAX_CHARS)}...` : text;
  };
  const write = (stream, line) => {
    const text = clean(line);
    attempt(() => (0, import_node_fs.writeSync)(stream, `${text}
`));
    if (fd !== null) attempt(() => (0, import_node_fs.writeSync)(fd, `${(/* @__PURE__ */ new Date()).toISOString()} ${text}
`));
  };
  const log = {
    info: (line) => write(1, line),
    error: (line) => write(2, `Error: ${line}`)
  };
  if (file !== null) {
    try {
      fd = openOwnFile(file);
    } catch (error) {
      log.info(`Warning: no log file at ${file}: ${error.message}`);
    }
  }
  return log;
}
function openOwnFile(path) {
  (0, import_node_fs.mkdirSync)((0, import_node_path2.dirname)(path), { recursive: true, mode: 448 });
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = import_node_fs.constants;
  const fd = (0, import_node_fs.openSync)(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 384);
  try {
    const stat = (0, import_node_fs.fstatSync)(fd);
    if (!stat.isFile() || stat.nlink !== 1 || stat.uid !== process.geteuid?.()) {
      throw new Error("it is not a regular file of this user");
    }
    (0, import_node_fs.fchmodSync)(fd, 384);
    if (stat.size > FILE_MAX_BYTES) keepTail(fd, stat.size);
    return fd;
  } catch (error) {
    (0, import_node_fs.closeSync)(fd);
    throw error;
  }
}
function keepTail(fd, size) {
  const tail = Buffer.alloc(FILE_KEEP_BYTES);
  const length = (0, import_node_fs.readSync)(fd, tail, 0, FILE_KEEP_BYTES, size - FILE_KEEP_BYTES);
  (0, import_node_fs.ftruncateSync)(fd, 0);
  (0, import_node_fs.writeSync)(fd, tail.subarray(tail.indexOf("\n") + 1, length));
}
function attempt(action) {
  try {
    action();
  } catch {
  }
}

// src/process.ts
var import_node_child_process2 = require("node:child_process");

// src/pid-file.ts
var import_node_fs2 = require("node:fs");
var MAX_BYTES = 32;
function readPidFile(path) {
  let fd;
  try {
    fd = (0, import_node_fs2.openSync)(path, import_node_fs2.constants.O_RDONLY | import_node_fs2.constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error;
    return code === "ENOENT" ? `No PID file at ${path}` : `PID file ${path} can'\''t be read: ${code}`;
  }
  try {
    const stat = (0, import_node_fs2.fstatSync)(fd);
    if (!stat.isFile()) return `PID file ${path} is no regular file`;
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    const text = buffer.toString("utf8", 0, (0, import_node_fs2.readSync)(fd, buffer, 0, buffer.length, 0)).trim();
    const pid = /^\d+$/.test(text) ? Number(text) : 0;
    if (pid <= 1 || text.length > 10) return `PID file ${path} holds no usable process id`;
    return { pid, writtenAtMs: stat.mtimeMs };
  } finally {
    (0, import_node_fs2.closeSync)(fd);
  }
}

// src/process-table.ts
var import_node_child_process = require("node:child_process");
var import_node_fs3 = require("node:fs");
var import_node_path3 = require("node:path");
var TICK_MS = 10;
var PS_TIMEOUT_MS = 1e3;
function inspectProcess(pid) {
  return hasProc() ? inspectByProc(pid) : inspectByPs(pid);
}
function listeningPorts(pid) {
  return portsAmong(listeningSockets(), pid);
}
function listenersOn(port) {
  const sockets = new Map([...listeningSockets()].filter(([, its]) => its === port));
  if (sockets.size === 0) return [];
  return (0, import_node_fs3.readdirSync)("/proc").map(Number).filter((pid) => portsAmong(sockets, pid)?.length).map(inspectByProc).filter((info) => info !== null);
}
function portsAmong(sockets, pid) {
  try {
    return (0, import_node_fs3.readdirSync)(`/proc/${pid}/fd`).map((fd) => sockets.get(linkOrEmpty(`/proc/${pid}/fd/${fd}`))).filter((port) => port !== void 0);
  } catch {
    return null;
  }
}
function hasProc() {
  return readOrEmpty("/proc/self/stat") !== "";
}
function inspectByProc(pid) {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  const match = /^\d+ \((.*)\) (.*)$/s.exec(stat);
  const fields = match?.[2]?.split(" ") ?? [];
  if (match === null || fields[0] === "Z" || fields[0] === "X") return null;
  const bootSeconds = Number(/^btime (\d+)$/m.exec(readOrEmpty("/proc/stat"))?.[1] ?? 0);
  const executable = (0, import_node_path3.basename)(linkOrEmpty(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, "");
  return {
    pid,
    // Field 22 of proc_pid_stat(5); `fields` starts at the third.
    startedAtMs: bootSeconds * 1e3 + Number(fields[19]) * TICK_MS,
    executable: executable || match[1]
  };
}
function listeningSockets() {
  const sockets = /* @__PURE__ */ new Map();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readOrEmpty(table).split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === "0A") sockets.set(`socket:[${inode}]`, Number.parseInt(local?.split(":")[1] ?? "", 16));
    }
  }
  return sockets;
}
function inspectByPs(pid) {
  let line;
  try {
    line = (0, import_node_child_process.execFileSync)("env", ["LC_ALL=C", "ps", "-o", "stat=,lstart=,comm=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: PS_TIMEOUT_MS
    });
  } catch {
    return null;
  }
  const match = /^\s*([^Z\s]\S*)\s+(\S+ \S+ +\d+ [\d:]+ \d{4})\s+(.*\S)\s*$/.exec(line);
  return match && {
    pid,
    startedAtMs: Date.parse(match[2]),
    executable: (0, import_node_path3.basename)(match[3])
  };
}
function readOrEmpty(path) {
  try {
    return (0, import_node_fs3.readFileSync)(path, "utf8");
  } catch {
    return "";
  }
}
function linkOrEmpty(path) {
  try {
    return (0, import_node_fs3.readlinkSync)(path);
  } catch {
    return "";
  }
}

// src/process.ts
var CLOCK_SLACK_MS = 2e3;
var POLL_MS = 50;
var VERSION_TIMEOUT_MS = 1e3;
var STATE_SAVE_SINCE = [0, 12, 0];
function findAgentApi({ pidFile, agentApiPort }, explain2) {
  const named = pidFile === null ? null : readPidFile(pidFile);
  if (typeof named === "string") explain2(named);
  else if (named !== null) {
    const info = inspectProcess(named.pid);
    if (info === null) explain2(`PID file ${pidFile} is stale: process ${named.pid} is gone`);
    else {
      const stranger = whyStranger(info, named.writtenAtMs, agentApiPort);
      if (stranger === null) return info;
      explain2(
        `PID file ${pidFile} is stale: process ${named.pid} (${info.executable}) ${stranger}; leaving it alone`
      );
    }
  }
  return listenersOn(agentApiPort).find(isNamedAgentApi) ?? null;
}
function whyStranger(info, writtenAtMs, port) {
  const ports = listeningPorts(info.pid);
  const listens = ports?.includes(port) ?? false;
  if (listens && isNamedAgentApi(info)) return null;
  if (info.startedAtMs > writtenAtMs + CLOCK_SLACK_MS) return "started after the file was written";
  if (listens) return null;
  if (!isNamedAgentApi(info)) return `is not AgentAPI on port ${port}`;
  return ports === null || ports.length === 0 ? null : `listens on port ${ports.join()}, not on ${port}`;
}
function isNamedAgentApi({ executable }) {
  return executable.startsWith("agentapi");
}
async function savesStateOnSignal(info) {
  const own = isNamedAgentApi(info) && inspectProcess(process.pid) !== null ? `/proc/${info.pid}/exe` : "agentapi";
  const version = await new Promise((resolve) => {
    (0, import_node_child_process2.execFile)(own, ["--version"], { timeout: VERSION_TIMEOUT_MS }, (_error, stdout) => resolve(stdout.trim()));
  });
  const parts = /(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  const different = parts?.findIndex((part, index) => part !== STATE_SAVE_SINCE[index]) ?? -1;
  return {
    saves: different === -1 || parts[different] > STATE_SAVE_SINCE[different],
    version
  };
}
function sendSignal({ pid }, signal) {
  try {
    process.kill(pid, signal);
    return null;
  } catch (error) {
    const { code } = error;
    return code === "ESRCH" ? "it is gone" : code === "EPERM" ? "it belongs to another user" : String(code);
  }
}
async function waitUntilGone(info, deadline) {
  for (; ; ) {
    if (inspectProcess(info.pid)?.startedAtMs !== info.startedAtMs) return true;
    if (deadline.remainingMs() === 0) return false;
    await deadline.sleep(POLL_MS);
  }
}

// src/http.ts
var http = __toESM(require("node:http"), 1);
var https = __toESM(require("node:https"), 1);
function exchange(request, reader, deadline) {
  const { method, url, body } = request;
  const what = `${method} ${url.origin}${url.pathname}`;
  const budgetMs = deadline.remainingMs();
  return new Promise((resolve, reject) => {
    const client = url.protocol === "https:" ? https : http;
    const outgoing = client.request(url, {
      method,
      agent: false,
      headers: {
        ...request.headers,
        ...body && { "content-length": String(body.byteLength) }
      },
      ...request.address !== void 0 && { hostname: request.address }
    });
    const fail = (error) => {
      clearTimeout(timer);
      outgoing.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new DeadlineError(what, budgetMs)), budgetMs);
    outgoing.on("error", (error) => fail(new NetworkError(what, error)));
    outgoing.on("response", (answer) => {
      const status = answer.statusCode ?? 0;
      const sink = reader(status);
      const guarded = (action) => {
        try {
          action();
        } catch (error) {
          fail(error);
        }
      };
      answer.on("data", (chunk) => guarded(() => sink.push(chunk)));
      answer.on("error", (error) => fail(new NetworkError(what, error)));
      answer.on("close", () => fail(new NetworkError(what, { message: "the answer was cut off" })));
      answer.on(
        "end",
        () => guarded(() => {
          if (!answer.complete) throw new NetworkError(what, { message: "the answer was cut off" });
          const result = { status, headers: answer.headers, body: sink.end() };
          clearTimeout(timer);
          resolve(result);
        })
      );
    });
    outgoing.end(body);
  });
}
function textReader(maxBytes) {
  const chunks = [];
  let size = 0;
  return {
    push(chunk) {
      if (size < maxBytes) chunks.push(chunk);
      size += chunk.byteLength;
    },
    end: () => Buffer.concat(chunks).subarray(0, maxBytes).toString("utf8")
  };
}
function parseJson(text, source) {
  try {
    return JSON.parse(text);
  } catch {
    throw new WireError(source, `answered no JSON: ${JSON.stringify(text.slice(0, 80))}`);
  }
}

// src/agentapi.ts
var LOOPBACK = ["127.0.0.1", "::1"];
var ERROR_MAX_BYTES = 200;
async function fetchHistory(port, keep, deadline) {
  const url = new URL(`http://localhost:${port}/messages`);
  let failure;
  for (const address of LOOPBACK) {
    try {
      const { status, body } = await exchange(
        {
          method: "GET",
          url,
          address,
          headers: { host: `localhost:${port}`, accept: "application/json" }
        },
        (status2) => status2 === 200 ? historyReader(keep) : textReader(ERROR_MAX_BYTES),
        deadline
      );
      if (typeof body !== "string") return body;
      throw new HttpError("GET /messages of AgentAPI", status, body);
    } catch (error) {
      if (!(error instanceof ShutdownError) || error instanceof DeadlineError) throw error;
      failure ??= error;
    }
  }
  throw failure;
}
function historyReader(keep) {
  const chunks = [];
  return {
    push: (chunk) => void chunks.push(chunk),
    end() {
      const answer = parseJson(Buffer.concat(chunks).toString("utf8"), "AgentAPI");
      const messages = answer?.messages;
      if (messages === null) return { messages: [], total: 0 };
      if (!Array.isArray(messages)) throw new WireError("AgentAPI", "its answer has no list of messages");
      return { messages: messages.slice(-keep), total: messages.length };
    }
  };
}

// src/retry.ts
var BACKOFF_MIN_MS = 200;
var BACKOFF_MAX_MS = 3e3;
var ATTEMPT_MIN_MS = 250;
async function withRetries(attempt2, { deadline, onRetry, random = Math.random }) {
  for (let tries = 0; ; tries++) {
    try {
      const left = deadline.remainingMs();
      return await attempt2(deadline.capped(Math.max(left / 2, Math.min(left, 2 * ATTEMPT_MIN_MS))));
    } catch (error) {
      const room = deadline.remainingMs() - ATTEMPT_MIN_MS;
      if (!isTransient(error) || room <= 0) throw error;
      const waitMs = Math.min(waitBefore(error, tries, random), room);
      onRetry(error, waitMs);
      await deadline.sleep(waitMs);
    }
  }
}
function isTransient(error) {
  if (error instanceof HttpError) return error.status === 429 || error.status >= 500;
  return error instanceof NetworkError || error instanceof DeadlineError;
}
function waitBefore(error, tries, random) {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** tries);
  const asked = error instanceof HttpError ? error.retryAfterMs : null;
  return asked === null ? ceiling * random() : asked + ceiling * random();
}

// src/coder.ts
var ANSWER_MAX_BYTES = 4096;
var QUOTE_MAX_CHARS = 200;
var TASK_NOT_FOUND = "Resource not found or you do not have access to this resource";
async function postSnapshot(destination, body, deadline, log) {
  const url = snapshotUrl(destination);
  const headers = {
    "coder-session-token": destination.coderToken,
    "content-type": "application/json",
    accept: "application/json"
  };
  const post = async (attemptDeadline) => {
    const answer = await exchange(
      { method: "POST", url, headers, body },
      () => textReader(ANSWER_MAX_BYTES),
      attemptDeadline
    );
    if (answer.status >= 200 && answer.status < 300) return log.info("Log snapshot posted successfully");
    const { message, detail } = errorTexts(answer.body);
    if (answer.status === 404 && message !== TASK_NOT_FOUND) {
      return log.info("Log snapshot endpoint not supported by this Coder version, skipping");
    }
    throw new HttpError(
      `POST ${url.origin}${url.pathname}`,
      answer.status,
      explain(answer.status, answer.headers.location) ?? [message, detail].filter(Boolean).join(" "),
      retryAfterMs(answer.headers["retry-after"])
    );
  };
  log.info(`Posting log snapshot to Coder (${body.byteLength} bytes)`);
  await withRetries(post, {
    deadline,
    onRetry: (error, waitMs) => log.info(`${error.message}; trying again in ${(waitMs / 1e3).toFixed(1)} s`)
  });
}
function snapshotUrl({ coderUrl, coderToken, taskId }) {
  if (coderUrl === "")
    throw new WireError("CODER_AGENT_URL", "is not set, so there is nowhere to send the snapshot");
  if (coderToken === "")
    throw new WireError("CODER_AGENT_TOKEN", "is not set, so Coder would refuse the snapshot");
  const url = parseUrl(coderUrl);
  if (url === null) throw new WireError("CODER_AGENT_URL", `is no http or https address: "${coderUrl}"`);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v2/workspaceagents/me/tasks/${encodeURIComponent(taskId)}/log-snapshot`;
  url.search = "?format=agentapi";
  return url;
}
function parseUrl(text) {
  try {
    return /^https?:\/\//.test(text) ? new URL(text) : null;
  } catch {
    return null;
  }
}
function explain(status, location) {
  if (status === 401) {
    return "Coder refused the agent'\''s token; it is valid only while a stop build directly follows a successful start of the same template version";
  }
  if (status === 404)
    return "Coder does not know this task here; it was deleted, or it belongs to another workspace";
  if (status >= 300 && status < 400) {
    return `redirected to ${location ?? "nowhere"}; the token is not sent there, correct Coder'\''s access URL instead`;
  }
  return null;
}
function errorTexts(body) {
  try {
    const { message = "", detail = "" } = JSON.parse(body);
    return {
      message: String(message).slice(0, QUOTE_MAX_CHARS),
      detail: String(detail).slice(0, QUOTE_MAX_CHARS)
    };
  } catch {
    return { message: body.trim().slice(0, QUOTE_MAX_CHARS), detail: "" };
  }
}
function retryAfterMs(header) {
  if (header === void 0) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1e3 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

// src/message.ts
var ZERO_TIME = "0001-01-01T00:00:00Z";
var MAX_DEPTH = 100;
function mendMessages(messages, offset) {
  const counts = /* @__PURE__ */ new Map();
  const note = (what) => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const mended = [];
  let lastTime = messages.map((message) => field(message, "time")).find(isRfc3339) ?? ZERO_TIME;
  messages.forEach((raw, index) => {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
      return note("Left out, no JSON object");
    }
    const { id, content, role, time, ...others } = raw;
    const text = asText(content);
    if (text === null) return note("Left out, content nested too deep");
    if (text !== content) note("Mended, content was no string");
    if (!Number.isSafeInteger(id)) note("Mended, id was no integer");
    if (role !== "user" && role !== "agent") note("Mended, role was neither user nor agent");
    if (!isRfc3339(time)) note("Mended, time was not RFC 3339");
    lastTime = asTime(time) ?? lastTime;
    mended.push({
      message: {
        id: Number.isSafeInteger(id) ? id : offset + index,
        content: text,
        role: role === "user" ? "user" : "agent",
        time: lastTime
      },
      extra: passable(others)
    });
  });
  return {
    mended,
    notes: [...counts].map(([what, count]) => `${what}: ${count} of ${messages.length} messages`)
  };
}
function field(message, name) {
  return message?.[name];
}
function asText(content) {
  if (typeof content === "string") return content;
  if (content === void 0 || content === null) return "";
  return isShallow(content, MAX_DEPTH) ? JSON.stringify(content) : null;
}
function asTime(value) {
  if (isRfc3339(value)) return value;
  const parsed = new Date(typeof value === "string" ? value : Number.NaN);
  const text = Number.isNaN(parsed.getTime()) ? "" : parsed.toISOString();
  return isRfc3339(text) ? text : null;
}
function isRfc3339(value) {
  if (typeof value !== "string") return false;
  const match = /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/.exec(
    value
  );
  if (match === null) return false;
  const [year, month, day] = match.slice(1, 4).map(Number);
  const leapYear = year % 4 === 0 && year % 100 !== 0 || year % 400 === 0;
  const days = [31, leapYear ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return day >= 1 && day <= days[month - 1];
}
function passable(others) {
  return Object.fromEntries(
    Object.entries(others).filter(
      ([name, value]) => !/^(?:id|content|role|time)$/i.test(name) && isShallow(value, MAX_DEPTH)
    )
  );
}
function isShallow(value, levels) {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1));
}

// src/snapshot.ts
var SNAPSHOT_MAX_BYTES = 65536;
var HEAD = '\''{"messages":['\'';
var TAIL = "]}";
function buildSnapshot(messages, total, maxBytes = SNAPSHOT_MAX_BYTES) {
  const { mended, notes } = mendMessages(messages, total - messages.length);
  const whole = mended.map(({ message, extra }) => encode({ ...message, ...extra }));
  const encoded = bodyBytes(whole) <= maxBytes ? whole : mended.map(({ message }) => encode(message));
  let size = bodyBytes(encoded);
  let dropped = 0;
  while (size > maxBytes && dropped < encoded.length - 1) {
    size -= Buffer.byteLength(encoded[dropped++]) + 1;
  }
  if (dropped > 0) {
    notes.push(`Payload exceeds ${maxBytes} bytes, removing the ${dropped} oldest messages`);
  }
  let kept = encoded.slice(dropped);
  if (size > maxBytes) {
    notes.push(`Payload size ${size} bytes exceeds limit, truncating final message content`);
    kept = [encode(cutToFit(mended[dropped].message, maxBytes))];
  }
  return {
    body: Buffer.from(HEAD + kept.join() + TAIL),
    messageCount: kept.length,
    notes
  };
}
function encode(value) {
  return JSON.stringify(value).replace(
    /\\(?:u0000|ud[0-9a-f]{3}|.)/g,
    (escape) => escape.length === 6 ? "\uFFFD" : escape
  );
}
function bodyBytes(encoded) {
  const commas = Math.max(0, encoded.length - 1);
  return encoded.reduce((sum, text) => sum + Buffer.byteLength(text), HEAD.length + TAIL.length + commas);
}
function cutToFit(message, maxBytes) {
  const { content } = message;
  const from = (start2) => {
    const shown = content.slice(start2);
    const kib = Math.floor(Buffer.byteLength(shown) / 1024);
    return {
      ...message,
      content: `[...content truncated, showing last ${kib}KB...]

${shown}`
    };
  };
  let start = Math.max(0, content.length - maxBytes);
  let end = content.length;
  while (start < end) {
    const middle = Math.floor((start + end) / 2);
    if (bodyBytes([encode(from(middle))]) <= maxBytes) end = middle;
    else start = middle + 1;
  }
  const splitsPair = /^[\ud800-\udbff][\udc00-\udfff]$/.test(content.slice(start - 1, start + 1));
  return from(splitsPair ? start + 1 : start);
}

// src/shutdown.ts
var FETCH_SHARE = 0.6;
var KILL_RESERVE_MS = 400;
async function saveState(agentApi, log) {
  const { saves, version } = await savesStateOnSignal(agentApi);
  if (!saves) return log.info(`Warning: state is not saved, ${version} is older than 0.12.0`);
  log.info(`Sending SIGUSR1 to AgentAPI (pid ${agentApi.pid}) to save state`);
  const failure = sendSignal(agentApi, "SIGUSR1");
  if (failure !== null) log.error(`SIGUSR1 did not reach AgentAPI: ${failure}`);
}
async function captureSnapshot(config, deadline, log) {
  if (!config.snapshotEnabled) return log.info("Log snapshot disabled, skipping");
  if (config.taskId === "") return log.info("No task ID, skipping log snapshot");
  log.info(`Fetching messages from AgentAPI on port ${config.agentApiPort}`);
  const { messages, total } = await fetchHistory(
    config.agentApiPort,
    config.maxMessages,
    deadline.capped(deadline.remainingMs() * FETCH_SHARE)
  );
  const snapshot = buildSnapshot(messages, total);
  if (snapshot.messageCount > 0) log.info(`Retrieved ${messages.length} messages for log snapshot`);
  for (const note of snapshot.notes) log.info(note);
  if (snapshot.messageCount === 0) return log.info("No messages for log snapshot");
  await postSnapshot(config, snapshot.body, deadline, log);
}
async function stopAgentApi(agentApi, deadline, log) {
  log.info(`Sending SIGTERM to AgentAPI (pid ${agentApi.pid})`);
  const failure = sendSignal(agentApi, "SIGTERM");
  if (failure !== null) return log.info(`SIGTERM did not reach AgentAPI: ${failure}`);
  if (await waitUntilGone(agentApi, deadline.reserving(KILL_RESERVE_MS))) return;
  log.info(`Warning: AgentAPI (pid ${agentApi.pid}) ignores SIGTERM and time is up, sending SIGKILL`);
  sendSignal(agentApi, "SIGKILL");
  await waitUntilGone(agentApi, deadline);
}

// src/main.ts
var EXIT_RUNTIME_TOO_OLD = 64;
var NODE_MIN_MAJOR = 18;
var STOP_RESERVE_MS = 3e3;
var STOP_RESERVE_SHARE = 0.4;
var EXIT_RESERVE_MS = 200;
async function main() {
  const config = readConfig(process.env);
  const log = openLog(config.logFile, [config.coderToken]);
  const budget = Deadline.in(config.budgetMs - process.uptime() * 1e3 - EXIT_RESERVE_MS);
  const step = async (action, afterFailure) => {
    try {
      return await action();
    } catch (error) {
      log.error(error instanceof ShutdownError ? error.message : String(error.stack));
      if (afterFailure !== void 0) log.info(afterFailure);
      return null;
    }
  };
  log.info("Shutting down AgentAPI");
  for (const fault of config.faults) log.error(fault);
  const agentApi = await step(() => findAgentApi(config, log.info));
  if (agentApi !== null && config.statePersistence) await step(() => saveState(agentApi, log));
  const stopReserveMs = Math.min(STOP_RESERVE_MS, config.budgetMs * STOP_RESERVE_SHARE);
  await step(
    () => captureSnapshot(config, budget.reserving(stopReserveMs), log),
    "Log snapshot capture failed, continuing shutdown"
  );
  if (agentApi !== null) await step(() => stopAgentApi(agentApi, budget, log));
  log.info(`Shutdown complete in ${process.uptime().toFixed(1)} s`);
}
if (!process.versions.bun && !process.versions.deno && Number.parseInt(process.versions.node) < NODE_MIN_MAJOR) {
  process.exit(EXIT_RUNTIME_TOO_OLD);
}
void main().then(() => process.exit(0));'

main
