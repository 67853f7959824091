// What Coder checks before it reads a body (token, task id, query), and how it words its answers.
import type { Answer } from "./fake-exchange.ts";

export function refuseToken(token: string | undefined, expected: string): Answer | null {
  if (token === expected) return null;
  if (!token) return json(401, { message: 'Cookie "coder_session_token" must be provided.' });
  if (parseUuid(token) === null) {
    const detail = `An agent token must be a valid UUIDv4. (len ${token.length})`;
    return json(401, { message: "Workspace agent token invalid.", detail });
  }
  const detail =
    "The agent cannot authenticate until the workspace provision job has been completed. If the job is no longer running, this agent is invalid.";
  return json(401, { message: "Workspace agent not authorized.", detail });
}

export function refuseQuery(query: URLSearchParams): Answer | null {
  const format = query.get("format");
  const excess = [...new Set(query.keys())].filter((name) => name !== "format");
  const details = excess.map((name) => ({
    field: name,
    detail: `Query param "${name}" is not a valid query param`,
  }));
  if (!format)
    details.unshift({ field: "format", detail: 'Query param "format" is required and cannot be empty' });
  if (details.length > 0) return json(400, { message: "Invalid query parameters.", validations: details });
  if (format === "agentapi") return null;
  const detail = `Only "agentapi" format is currently supported, got "${format}".`;
  return json(400, { message: "Invalid format parameter.", detail });
}

/** The forms that Go's uuid.Parse takes: plain, urn:uuid:, in braces, and 32 digits; null for any other. */
export function parseUuid(text: string): string | null {
  const bare = /^\{(.{36})\}$/.exec(text)?.[1] ?? text.replace(/^urn:uuid:(?=.{36}$)/i, "");
  const groups = /^([0-9a-f]{8})(-?)([0-9a-f]{4})\2([0-9a-f]{4})\2([0-9a-f]{4})\2([0-9a-f]{12})$/i.exec(bare);
  if (!groups || (bare !== text && !groups[2])) return null;
  return [1, 3, 4, 5, 6]
    .map((group) => groups[group])
    .join("-")
    .toLowerCase();
}

export function unescapePath(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // stays a bad uuid
  }
}

export function undecodable(detail: string): Answer {
  return json(400, { message: "Failed to decode request payload.", detail });
}

export function json(status: number, body: object): Answer {
  const headers = { "Content-Type": "application/json; charset=utf-8" };
  return { status, headers, body: `${JSON.stringify(body)}\n` };
}
