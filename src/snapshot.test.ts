import { describe, expect, test } from "bun:test";
import { type Random, seeded, seedFromEnv } from "../test/random.ts";
import { buildSnapshot, SNAPSHOT_MAX_BYTES } from "./snapshot.ts";

const TIME = "2026-01-30T09:31:04+02:00";
const MARKER = /^\[\.\.\.content truncated, showing last (\d+)KB\.\.\.\]\n\n/;

interface Posted {
  id: number;
  content: string;
  role: string;
  time: string;
}

const message = (id: number, content: string): Posted => ({ id, content, role: "agent", time: TIME });

function build(messages: readonly unknown[], maxBytes?: number) {
  const snapshot = buildSnapshot(messages, messages.length, maxBytes);
  const posted = (JSON.parse(snapshot.body.toString("utf8")) as { messages: Posted[] }).messages;
  return { ...snapshot, posted };
}

test("keeps a short conversation as it is", () => {
  const messages = [message(0, "Hello"), { ...message(1, "Hi"), role: "user" }];
  expect(build(messages).posted).toEqual(messages);
});

test("keeps a body of exactly the limit whole, and cuts one of a byte more", () => {
  const room = SNAPSHOT_MAX_BYTES - build([message(0, "")]).body.byteLength;
  const fits = build([message(0, "x".repeat(room))]);
  expect(fits.body.byteLength).toBe(SNAPSHOT_MAX_BYTES);
  expect(fits.posted[0]!.content).not.toMatch(MARKER);
  expect(build([message(0, "x".repeat(room + 1))]).posted[0]!.content).toMatch(MARKER);
});

test("drops the oldest messages first", () => {
  const { posted, notes } = build([
    message(0, "a".repeat(40_000)),
    message(1, "b".repeat(40_000)),
    message(2, "c"),
  ]);
  expect(posted.map(({ id }) => id)).toEqual([1, 2]);
  expect(notes.join()).toContain("removing the 1 oldest message");
});

test("says how much of a cut message is shown", () => {
  const { posted, notes } = build([message(0, `${"x".repeat(200_000)}the end`)]);
  expect(posted[0]!.content).toEndWith("the end");
  expect(MARKER.exec(posted[0]!.content)![1]).toBe("63");
  expect(notes.join()).toContain("truncating final message content");
});

test("counts what escapes cost in JSON", () => {
  const { body, posted } = build([message(0, "\u001b".repeat(100_000))]);
  expect(body.byteLength).toBeWithin(SNAPSHOT_MAX_BYTES - 64, SNAPSHOT_MAX_BYTES + 1);
  expect(MARKER.exec(posted[0]!.content)![1]).toBe("10");
});

test("never cuts a character in two", () => {
  for (const padding of ["", "x", "xx", "xxx"]) {
    const { posted } = build([message(0, `${"\u{1f600}".repeat(30_000)}${padding}`)]);
    expect(posted[0]!.content.replace(MARKER, "")).toMatch(/^(?:\u{1f600})+x*$/u);
  }
});

test("sends fields that only other readers know, until size forbids it", () => {
  const extra = { ...message(0, "Hello"), type: "output", nested: { deep: [1, 2] } };
  expect(build([extra]).posted[0]).toEqual(extra);
  const { posted } = build([message(0, "first"), { ...message(1, "Hello"), blob: "x".repeat(70_000) }]);
  expect(posted).toEqual([message(0, "first"), message(1, "Hello")]);
});

test("replaces what Coder's database refuses, wherever it stands", () => {
  const { body, posted } = build([
    { ...message(0, "nul \u0000 lone \ud800 pair \u{1f600} text \\u0000 \\\u0000"), "key\u0000": "\udfff" },
  ]);
  expect(posted[0]!.content).toBe("nul \ufffd lone \ufffd pair \u{1f600} text \\u0000 \\\ufffd");
  expect(body.toString("utf8").replaceAll("\\\\", "")).not.toMatch(/\\u(0000|d[89a-f])/);
});

describe("any history", () => {
  const seed = seedFromEnv();
  const CASES = 400;
  const ALPHABETS = [
    ["a", "b", " ", "\n"],
    ['"', "\\", "/", "\t", "\r\n"],
    ["\u001b", "[31m", "\u0007", "\u007f", "\u0000"],
    ["\u6f22", "\u5b57", "\u00e9", "\u2028"],
    ["\u{1f600}", "\u{1f468}\u200d\u{1f469}", "\ud800", "\udc00", "\udc00\ud800"],
  ];

  const randomText = (random: Random, maxChars: number): string => {
    const alphabet = random.pick([...ALPHABETS, ALPHABETS.flat()]);
    return Array.from({ length: random.int(0, maxChars) }, () => random.pick(alphabet)).join("");
  };
  /** What a reader sees once Coder has stored a text. */
  const stored = (text: string): string => text.replaceAll("\u0000", "\ufffd").toWellFormed();
  const bytesOf = (messages: readonly Posted[]): number => Buffer.byteLength(JSON.stringify({ messages }));

  test(`fits, keeps the newest words, and drops nothing that would have fitted (SEED=${seed})`, () => {
    for (let round = 0; round < CASES; round++) {
      const random = seeded(seed + round);
      const maxBytes = random.pick([400, 1000, 5000, SNAPSHOT_MAX_BYTES]);
      const messages = Array.from({ length: random.int(1, 12) }, (_, id) =>
        message(id, randomText(random, random.pick([5, 100, maxBytes / 8, maxBytes * 2]))),
      );
      const { body, posted } = build(messages, maxBytes);
      const label = `SEED=${seed + round}`;

      expect(body.byteLength, label).toBeLessThanOrEqual(maxBytes);
      expect(body.byteLength, label).toBe(bytesOf(posted));
      const clean = messages.map((one) => ({ ...one, content: stored(one.content) }));
      const newest = clean.at(-1)!;
      if (bytesOf([newest]) <= maxBytes) {
        expect(posted, label).toEqual(clean.slice(-posted.length));
        const oneMore = clean.slice(-posted.length - 1);
        if (oneMore.length > posted.length) expect(bytesOf(oneMore), label).toBeGreaterThan(maxBytes);
      } else {
        expect(posted, label).toHaveLength(1);
        expect(posted[0]!.content, label).toMatch(MARKER);
        expect(newest.content, label).toEndWith(posted[0]!.content.replace(MARKER, ""));
        expect(body.byteLength, label).toBeGreaterThanOrEqual(maxBytes - 64);
      }
    }
  });
});
