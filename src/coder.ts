// Posts the snapshot to Coder and says in plain words what its answer means.
import { attempt } from "./attempt.ts";
import type { Deadline } from "./deadline.ts";
import { HttpError, WireError } from "./errors.ts";
import { exchange, type HttpAnswer, textReader } from "./http.ts";
import type { Log } from "./log.ts";
import { withRetries } from "./retry.ts";
import { type Network, routeTo } from "./route.ts";

/** How much of an error page is read, bytes, and quoted, characters. */
const ANSWER_MAX_BYTES = 4096;
const QUOTE_MAX_CHARS = 200;
/** As many as an address of Coder can need, e.g. from http to https. */
const MAX_REDIRECTS = 3;
/** coderd's text for a task that is deleted, or not of this agent's workspace. */
const TASK_NOT_FOUND = "Resource not found or you do not have access to this resource";

export interface Destination {
  /** CODER_AGENT_URL; may end with a slash and may have a path. */
  readonly coderUrl: string;
  readonly coderToken: string;
  readonly taskId: string;
  readonly network: Network;
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
  const post = async (): Promise<void> => {
    const { status, headers, body: page } = await postTo(url, destination, body, deadline);
    if (status >= 200 && status < 300) return log.info("Log snapshot posted successfully");

    const texts = errorTexts(page);
    if (status === 404 && texts[0] !== TASK_NOT_FOUND) {
      return log.info("Log snapshot endpoint not supported by this Coder version, skipping");
    }
    throw new HttpError(
      `POST ${url.origin}${url.pathname}`,
      status,
      explain(status, headers.location) ?? texts.join(" ").trim(),
      retryAfterMs(headers["retry-after"]),
    );
  };

  log.info(`Posting log snapshot to Coder (${body.byteLength} bytes)`);
  await withRetries(post, {
    deadline,
    onRetry: (why, waitMs) => log.info(`${why}; trying again in ${(waitMs / 1000).toFixed(1)} s`),
  });
}

/** Posts, and again where the same host asks for it; the token goes to no other host, and never from TLS to plain HTTP. */
async function postTo(
  url: URL,
  destination: Destination,
  body: Buffer,
  deadline: Deadline,
  redirects = 0,
): Promise<HttpAnswer<string>> {
  const headers = {
    "coder-session-token": destination.coderToken,
    "content-type": "application/json",
    accept: "application/json",
  };
  const route = (): ReturnType<typeof routeTo> => routeTo(url, destination.network);
  const answer = await exchange(
    { method: "POST", url, headers, body, route },
    () => textReader(ANSWER_MAX_BYTES),
    deadline,
  );
  const { location } = answer.headers;
  if (answer.status < 300 || answer.status >= 400 || location === undefined || redirects === MAX_REDIRECTS) {
    return answer;
  }
  const next = parseUrl(location, url);
  const sameHost = next !== null && next.hostname === url.hostname && next.protocol >= url.protocol;
  return sameHost ? postTo(next, destination, body, deadline, redirects + 1) : answer;
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

function parseUrl(text: string, base?: URL): URL | null {
  const url = attempt(() => new URL(text, base), null);
  return url !== null && /^https?:$/.test(url.protocol) ? url : null;
}

/** What a status means for the person who reads the log, where the server's own words do not tell. */
function explain(status: number, location: string | undefined): string | null {
  if (status === 401) {
    return "Coder refused the agent's token, which is valid only while a stop directly follows a start of the same template version";
  }
  if (status === 404)
    return "Coder does not know this task here; it was deleted, or it belongs to another workspace";
  if (status >= 300 && status < 400) {
    return `redirected to ${location ?? "nowhere"}; the token is not sent there, correct Coder's access URL instead`;
  }
  return null;
}

/** The message and detail of Coder's JSON errors; of any other page, how it begins. */
function errorTexts(page: string): string[] {
  const texts = attempt((): unknown[] => {
    const { message, detail } = JSON.parse(page) as { message?: unknown; detail?: unknown };
    return [message, detail];
  }, [page]);
  return texts
    .filter((text) => typeof text === "string")
    .map((text) => text.trim().slice(0, QUOTE_MAX_CHARS));
}

/** Retry-After in seconds or as a date -> ms from now; null where it is missing or malformed. */
function retryAfterMs(header: string | undefined): number | null {
  if (header === undefined) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}
