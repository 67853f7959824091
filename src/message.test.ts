import { expect, test } from "bun:test";
import { mendMessages } from "./message.ts";

const GOOD = { id: 4, content: "Hello", role: "user", time: "2026-01-30T09:31:04+02:00" };

const mendOne = (changes: Record<string, unknown>) => {
  const { mended, notes } = mendMessages([{ ...GOOD, ...changes }], 0);
  return { message: mended[0]?.message, extra: mended[0]?.extra, notes };
};

test("leaves a good message alone and says nothing", () => {
  expect(mendOne({})).toEqual({ message: GOOD, extra: {}, notes: [] } as never);
});

test.each([
  ["no role", undefined],
  ["an unknown role", "system"],
  ["a role in capitals", "User"],
  ["a role that is no string", 7],
])("takes %s for the agent's", (_, role) => {
  expect(mendOne({ role }).message?.role).toBe("agent");
});

test.each([
  ["a string", "12"],
  ["a fraction", 1.5],
  ["too large for an exact number", 2 ** 60],
  ["missing", undefined],
])("numbers a message whose id is %s by its place in the conversation", (_, id) => {
  const { mended } = mendMessages([GOOD, { ...GOOD, id }], 40);
  expect(mended[1]?.message.id).toBe(41);
});

test.each([
  ["a number", 42, "42"],
  ["null", null, ""],
  ["missing", undefined, ""],
  ["an object", { text: "Hello" }, '{"text":"Hello"}'],
])("turns content that is %s into text", (_, content, text) => {
  expect(mendOne({ content }).message?.content).toBe(text);
});

test.each([
  "2026-01-30T09:31:04Z",
  "2026-01-30T09:31:04.123456789+14:00",
  "2024-02-29T23:59:59-00:00",
  "0000-01-01T00:00:00Z",
])("keeps the time %s, which Go reads", (time) => {
  expect(mendOne({ time }).message?.time).toBe(time);
});

test.each([
  ["2026-02-29T09:31:04Z", "a day that the month has not"],
  ["2026-01-30T09:31:60Z", "a leap second"],
  ["2026-01-30T24:00:00Z", "hour 24"],
  ["2026-01-30t09:31:04z", "lower-case letters"],
  ["2026-01-30T09:31:04", "no zone"],
  ["2026-01-30 09:31:04+02:00", "a space"],
  ["yesterday", "no time at all"],
  [1_769_758_264, "a number"],
  [undefined, "nothing"],
])("mends the time %p (%s)", (time) => {
  const { message, notes } = mendOne({ time });
  expect(message?.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
  expect(message?.time).not.toBe(time as string);
  expect(notes.join()).toContain("time");
});

test("gives a message without a time that of its neighbour", () => {
  const { mended } = mendMessages([{ ...GOOD, time: "never" }, GOOD, { ...GOOD, time: null }], 0);
  expect(mended.map(({ message }) => message.time)).toEqual([GOOD.time, GOOD.time, GOOD.time]);
});

test.each([[null], [7], ["text"], [[GOOD]]])(
  "leaves out what is no message, such as %j, and keeps the others",
  (raw) => {
    const { mended, notes } = mendMessages([GOOD, raw, GOOD], 0);
    expect(mended).toHaveLength(2);
    expect(notes).toEqual(["Left out, no JSON object: 1 of 3 messages"]);
  },
);

test("passes no field on that Go would take for one of its own, or refuse", () => {
  let deep: unknown = "x";
  for (let level = 0; level < 20_000; level++) deep = [deep];
  expect(mendOne({ Content: 5, ROLE: "root", deep, type: "output" }).extra).toEqual({ type: "output" });
});
