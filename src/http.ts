// One HTTP exchange, bounded in time and size, told apart by named errors.
import * as http from "node:http";
import * as https from "node:https";
import type { Deadline } from "./deadline.ts";
import { DeadlineError, NetworkError, WireError } from "./errors.ts";

/** Takes an answer's body piece by piece, so that a reader may keep only what it needs of a large one. */
export interface BodyReader<T> {
  push(chunk: Buffer): void;
  /** The whole body has arrived. May throw a WireError. */
  end(): T;
}

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  /** Address to connect to in place of the URL's host, e.g. "::1". */
  readonly address?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export interface HttpAnswer<T> {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: T;
}

/**
 * Sends `request` and reads the whole answer, whatever its status; `reader` picks the body's reader by status.
 * Rejects with NetworkError, DeadlineError or the reader's WireError. Redirects are not followed: the agent's token
 * must not reach another host.
 */
export function exchange<T>(
  request: HttpRequest,
  reader: (status: number) => BodyReader<T>,
  deadline: Deadline,
): Promise<HttpAnswer<T>> {
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
        ...(body && { "content-length": String(body.byteLength) }),
      },
      ...(request.address !== undefined && { hostname: request.address }),
    });

    const fail = (error: Error): void => {
      clearTimeout(timer);
      outgoing.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new DeadlineError(what, budgetMs)), budgetMs);

    outgoing.on("error", (error) => fail(new NetworkError(what, error)));
    outgoing.on("response", (answer) => {
      const status = answer.statusCode ?? 0;
      const sink = reader(status);
      const guarded = (action: () => void): void => {
        try {
          action();
        } catch (error) {
          fail(error as Error);
        }
      };
      answer.on("data", (chunk: Buffer) => guarded(() => sink.push(chunk)));
      answer.on("error", (error) => fail(new NetworkError(what, error)));
      // Some runtimes end a cut-off answer without an error; `complete` is what tells it apart from a whole one.
      answer.on("close", () => fail(new NetworkError(what, { message: "the answer was cut off" })));
      answer.on("end", () =>
        guarded(() => {
          if (!answer.complete) throw new NetworkError(what, { message: "the answer was cut off" });
          const result = { status, headers: answer.headers, body: sink.end() };
          clearTimeout(timer);
          resolve(result);
        }),
      );
    });
    outgoing.end(body);
  });
}

/** Reads a body as text and stops keeping it after `maxBytes`. */
export function textReader(maxBytes: number): BodyReader<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  return {
    push(chunk) {
      if (size < maxBytes) chunks.push(chunk);
      size += chunk.byteLength;
    },
    end: () => Buffer.concat(chunks).subarray(0, maxBytes).toString("utf8"),
  };
}

/** Parses JSON or throws a WireError that names `source` and quotes how the text begins. */
export function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new WireError(source, `answered no JSON: ${JSON.stringify(text.slice(0, 80))}`);
  }
}
