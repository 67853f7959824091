// Reads the conversation from the AgentAPI server of this workspace.
import { connect } from "node:net";
import type { Deadline } from "./deadline.ts";
import { DeadlineError, HttpError, NetworkError, ShutdownError, WireError } from "./errors.ts";
import { type BodyReader, exchange, parseJson, textReader } from "./http.ts";

/** The end of a conversation, oldest message first, unchecked: `total` counts also the messages before it. */
export interface History {
  readonly messages: readonly unknown[];
  readonly total: number;
}

/** AgentAPI listens on "localhost", which a system may resolve to either. Twice: a reset is worth a second try. */
const LOOPBACK = ["127.0.0.1", "::1", "127.0.0.1", "::1"];
const ERROR_MAX_BYTES = 200;

/**
 * GETs /messages from AgentAPI on `port` and keeps the last `keep` messages. Connects to loopback directly, never by a
 * proxy. Throws the ShutdownError of the address that came closest to an answer.
 */
export async function fetchHistory(port: number, keep: number, deadline: Deadline): Promise<History> {
  const url = new URL(`http://localhost:${port}/messages`);
  let failure: unknown;
  for (const address of LOOPBACK) {
    try {
      const { status, body } = await exchange<History | string>(
        {
          method: "GET",
          url,
          headers: { host: url.host, accept: "application/json" },
          route: async () => ({ createConnection: () => connect(port, address) }),
        },
        (status) => (status === 200 ? historyReader(keep) : textReader(ERROR_MAX_BYTES)),
        deadline,
      );
      if (typeof body !== "string") return body;
      throw new HttpError("GET /messages of AgentAPI", status, body);
    } catch (error) {
      if (!(error instanceof ShutdownError) || error instanceof DeadlineError) throw error;
      // A connection that failed says less than an answer of the wrong kind.
      if (failure === undefined || !(error instanceof NetworkError)) failure = error;
    }
  }
  throw failure;
}

/** Keeps the whole answer until its end: AgentAPI has no paging. */
function historyReader(keep: number): BodyReader<History> {
  const chunks: Buffer[] = [];
  return {
    push: (chunk) => void chunks.push(chunk),
    end() {
      const answer = parseJson(Buffer.concat(chunks).toString("utf8"), "AgentAPI");
      const messages = (answer as { messages?: unknown } | null)?.messages;
      // Go writes an empty list as null.
      if (messages === null) return { messages: [], total: 0 };
      if (!Array.isArray(messages)) throw new WireError("AgentAPI", "its answer has no list of messages");
      return { messages: messages.slice(-keep), total: messages.length };
    },
  };
}
