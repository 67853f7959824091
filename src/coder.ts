// Posts the snapshot to Coder and says in plain words what its answer means.
import type { Deadline } from "./deadline.ts";
import { HttpError, WireError } from "./errors.ts";
import { exchange, textReader } from "./http.ts";
import type { Log } from "./log.ts";
import { withRetries } from "./retry.ts";

/** How much of an error page is read, bytes, and quoted, characters. */
const ANSWER_MAX_BYTES = 4096;
const QUOTE_MAX_CHARS = 200;
/** coderd's text for a task that is deleted, or not of this agent's workspace. */
const TASK_NOT_FOUND = "Resource not found or you do not have access to this resource";

export interface Destination {
  /** CODER_AGENT_URL; may end with a slash and may have a path. */
  readonly coderUrl: string;
  readonly coderToken: string;
  readonly taskId: string;
}

/**
 * Posts `body` and logs the outcome. The server replaces an earlier snapshot, so a repeated attempt does no harm.
 * Throws a ShutdownError when the snapshot was not stored although this Coder stores snapshots.
 */
export async function postSnapshot(
  destination: Destination,
  body: Buffer,
  deadline: Deadline,
  log: Log,
): Promise<void> {
  const url = snapshotUrl(destination);
  const headers = {
    "coder-session-token": destination.coderToken,
    "content-type": "application/json",
    accept: "application/json",
  };
  const post = async (attemptDeadline: Deadline): Promise<void> => {
    const answer = await exchange(
      { method: "POST", url, headers, body },
      () => textReader(ANSWER_MAX_BYTES),
      attemptDeadline,
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
      retryAfterMs(answer.headers["retry-after"]),
    );
  };

  log.info(`Posting log snapshot to Coder (${body.byteLength} bytes)`);
  await withRetries(post, {
    deadline,
    onRetry: (error, waitMs) => log.info(`${error.message}; trying again in ${(waitMs / 1000).toFixed(1)} s`),
  });
}

function snapshotUrl({ coderUrl, coderToken, taskId }: Destination): URL {
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

function parseUrl(text: string): URL | null {
  try {
    return /^https?:\/\//.test(text) ? new URL(text) : null;
  } catch {
    return null;
  }
}

/** What a status means for the person who reads the log, where the server's own words do not tell. */
function explain(status: number, location: string | undefined): string | null {
  if (status === 401) {
    return "Coder refused the agent's token; it is valid only while a stop build directly follows a successful start of the same template version";
  }
  if (status === 404)
    return "Coder does not know this task here; it was deleted, or it belongs to another workspace";
  if (status >= 300 && status < 400) {
    return `redirected to ${location ?? "nowhere"}; the token is not sent there, correct Coder's access URL instead`;
  }
  return null;
}

/** The two texts of Coder's JSON errors; of any other page, how it begins. */
function errorTexts(body: string): { message: string; detail: string } {
  try {
    const { message = "", detail = "" } = JSON.parse(body) as {
      message?: string;
      detail?: string;
    };
    return {
      message: String(message).slice(0, QUOTE_MAX_CHARS),
      detail: String(detail).slice(0, QUOTE_MAX_CHARS),
    };
  } catch {
    return { message: body.trim().slice(0, QUOTE_MAX_CHARS), detail: "" };
  }
}

/** Retry-After in seconds or as a date -> ms from now; null where it is missing or malformed. */
function retryAfterMs(header: string | undefined): number | null {
  if (header === undefined) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}
