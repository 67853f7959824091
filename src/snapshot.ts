// Pure: the end of a conversation + a limit -> the body of a log snapshot that Coder accepts and can read back.
import { type Message, mendMessages } from "./message.ts";

/** coderd reads the body through http.MaxBytesReader with this limit: 64 KiB. */
export const SNAPSHOT_MAX_BYTES = 65_536;

const HEAD = '{"messages":[';
const TAIL = "]}";

export interface Snapshot {
  readonly body: Buffer;
  readonly messageCount: number;
  /** What was mended, left out or cut, as lines for the log. */
  readonly notes: readonly string[];
}

/**
 * Builds the body from `messages`, the last ones of a history of `total`, oldest first. The newest messages that fit
 * into `maxBytes` of UTF-8 JSON are kept whole; when not even the last one fits, the end of its content is.
 */
export function buildSnapshot(
  messages: readonly unknown[],
  total: number,
  maxBytes: number = SNAPSHOT_MAX_BYTES,
): Snapshot {
  const { mended, notes } = mendMessages(messages, total - messages.length);

  // Coder drops the fields it does not know, so they are the first thing to go.
  const whole = mended.map(({ message, extra }) => encode({ ...message, ...extra }));
  const encoded = bodyBytes(whole) <= maxBytes ? whole : mended.map(({ message }) => encode(message));

  let size = bodyBytes(encoded);
  let dropped = 0;
  while (size > maxBytes && dropped < encoded.length - 1) {
    size -= Buffer.byteLength(encoded[dropped++]!) + 1;
  }
  if (dropped > 0) {
    notes.push(`Payload exceeds ${maxBytes} bytes, removing the ${dropped} oldest messages`);
  }
  let kept = encoded.slice(dropped);
  if (size > maxBytes) {
    notes.push(`Payload size ${size} bytes exceeds limit, truncating final message content`);
    kept = [encode(cutToFit(mended[dropped]!.message, maxBytes))];
  }
  return {
    body: Buffer.from(HEAD + kept.join() + TAIL),
    messageCount: kept.length,
    notes,
  };
}

/** JSON without the two things that Coder's database or jq refuse: U+0000 and lone surrogates become U+FFFD. */
function encode(value: unknown): string {
  // JSON.stringify escapes both (a surrogate pair stays as it is); the dot steps over a backslash's own escape.
  return JSON.stringify(value).replace(/\\(?:u0000|ud[0-9a-f]{3}|.)/g, (escape) =>
    escape.length === 6 ? "\ufffd" : escape,
  );
}

function bodyBytes(encoded: readonly string[]): number {
  const commas = Math.max(0, encoded.length - 1);
  return encoded.reduce((sum, text) => sum + Buffer.byteLength(text), HEAD.length + TAIL.length + commas);
}

/** Keeps as much of the end of the content as fits, behind a marker that says how much that is. */
function cutToFit(message: Message, maxBytes: number): Message {
  const { content } = message;
  const from = (start: number): Message => {
    const shown = content.slice(start);
    const kib = Math.floor(Buffer.byteLength(shown) / 1024);
    return {
      ...message,
      content: [`[...content truncated, showing last ${kib}KB...]`, "", shown].join("\n"),
    };
  };

  // A character takes at least one byte, so an earlier start can't fit.
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
