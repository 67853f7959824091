// One HTTP exchange, bounded in time and size, told apart by named errors.
import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
  type RequestOptions,
} from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
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
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Finds the way to the server. */
  readonly route: () => Promise<Route>;
}

/** Options of http.request. Each brings its own connection: an agent would keep it, and may ask a proxy of its own. */
export interface Route extends Pick<RequestOptions, "path" | "headers"> {
  readonly createConnection: () => Socket;
}

export interface HttpAnswer<T> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: T;
}

/**
 * Sends `request` and reads the whole answer, whatever its status; `reader` picks the body's reader by status.
 * Rejects with the route's error, NetworkError, DeadlineError or the reader's WireError. Follows no redirect.
 */
export function exchange<T>(
  request: HttpRequest,
  reader: (status: number) => BodyReader<T>,
  deadline: Deadline,
): Promise<HttpAnswer<T>> {
  const { method, url } = request;
  const what = `${method} ${url.origin}${url.pathname}`;
  const budgetMs = deadline.remainingMs();

  return new Promise((resolve, reject) => {
    let outgoing: ClientRequest | undefined;
    let settled = false;
    const settle = (action: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      action();
      outgoing?.destroy();
    };
    const fail = (error: unknown): void => settle(() => reject(error));
    const timer = setTimeout(() => fail(new DeadlineError(what, budgetMs)), budgetMs);

    const receive = (answer: IncomingMessage): void => {
      const status = answer.statusCode ?? 0;
      const sink = reader(status);
      const guarded = (action: () => void): void => {
        try {
          action();
        } catch (error) {
          fail(error);
        }
      };
      const cutOff = (): void => fail(new NetworkError(what, { message: "the answer was cut off" }));
      answer.on("data", (chunk: Buffer) => guarded(() => sink.push(chunk)));
      answer.on("error", cutOff);
      answer.on("close", cutOff);
      answer.on("end", () => {
        // Some runtimes end a cut-off answer without an error; `complete` tells it apart from a whole one.
        if (!answer.complete) return cutOff();
        guarded(() => {
          const result = { status, headers: answer.headers, body: sink.end() };
          settle(() => resolve(result));
        });
      });
    };

    const send = (route: Route): void => {
      if (settled) return;
      outgoing = open(request, route);
      outgoing.on("error", (error) => fail(new NetworkError(what, error)));
      outgoing.on("response", receive);
      outgoing.end(request.body);
    };
    request.route().then(send).catch(fail);
  });
}

function open({ method, url, headers, body }: HttpRequest, route: Route): ClientRequest {
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return send(url, {
    ...route,
    method,
    headers: {
      ...headers,
      ...(route.headers as OutgoingHttpHeaders | undefined),
      connection: "close",
      ...(body && { "content-length": String(body.byteLength) }),
    },
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
