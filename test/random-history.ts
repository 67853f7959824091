// Random conversations, from harmless to hostile, and what a snapshot of them must end with.
import type { Random } from "./random.ts";

const TIME = "2026-01-30T09:31:04+02:00";
/** What terminals, models and broken programs write. */
const PIECES = [
  "plain words ",
  "漢字 ",
  "\u{1f600}",
  "\u001b[1m",
  "\u0000",
  "\ud800",
  '\\u0000 \\" "quoted" ',
  "\r\n\t",
  "\u2028\u2029",
  "\udfff\ud800",
  "</script>",
  "\u007f\u0080\ufeff",
];
const BROKEN_FIELDS: readonly Readonly<Record<string, unknown>>[] = [
  { role: "system" },
  { role: undefined },
  { id: "1" },
  { id: 1.5 },
  { time: "yesterday" },
  { time: undefined },
  { time: "2026-02-29T09:31:04Z" },
  { content: 42 },
  { content: undefined },
  { content: { text: "nested" } },
  { Content: 5, ROLE: "root" },
  { type: "output", extra: "x".repeat(3000) },
  { deep: nested(200) },
];
const NO_MESSAGES: readonly unknown[] = [7, "text", [1, 2], true];

export interface HistoryPlan {
  readonly count: number;
  /** Of each message's content, about. */
  readonly contentChars: number;
  readonly lastContentChars: number;
  readonly hostile: boolean;
  /** One of so many messages is broken; 0: none. */
  readonly brokenOneOf: number;
}

export function planHistory(random: Random): HistoryPlan {
  const count = random.pick([0, 1, 1, 2, 2, 5, 9, 10, 11, 12, 40, 300]);
  return {
    count,
    contentChars: random.pick([0, 3, 80, 2000, 8000]),
    lastContentChars: random.pick([0, 1, 50, 2000, 30_000, 65_000, 65_400, 70_000, 200_000, 2_000_000]),
    hostile: random.int(0, 2) > 0,
    brokenOneOf: random.pick([0, 0, 2, 5]),
  };
}

/** The last message is always an object, so that it is clear which one is the newest. */
export function makeHistory(plan: HistoryPlan, random: Random): unknown[] {
  return Array.from({ length: plan.count }, (_, id) => {
    const isLast = id === plan.count - 1;
    const broken = plan.brokenOneOf > 0 && random.int(1, plan.brokenOneOf) === 1;
    if (broken && !isLast && random.int(0, 1) === 0) return random.pick(NO_MESSAGES);
    const content = text(isLast ? plan.lastContentChars : plan.contentChars, plan.hostile, random);
    const message = { id, content, role: random.pick(["user", "agent"]), time: TIME };
    return broken ? { ...message, ...random.pick(BROKEN_FIELDS) } : message;
  });
}

/** The last characters of the newest message, as Coder's database can store them. */
export function newestEnd(history: readonly unknown[]): string {
  const { content = "" } = (history.at(-1) ?? {}) as { content?: unknown };
  const whole = typeof content === "string" ? content : JSON.stringify(content);
  return [...storable(whole.slice(-100))].slice(-20).join("");
}

function storable(content: string): string {
  // Half a pair at the start is an artefact of the slice, and is sliced off again.
  return content.toWellFormed().replaceAll("\0", "\ufffd");
}

function text(chars: number, hostile: boolean, random: Random): string {
  if (chars === 0) return "";
  // A long text repeats a random passage, which is as good, and quicker.
  let passage = "";
  while (passage.length < Math.min(chars, 500))
    passage += hostile ? random.pick(PIECES) : `words ${random.int(0, 999)} `;
  return passage.repeat(Math.ceil(chars / passage.length)).slice(-chars);
}

function nested(levels: number): unknown {
  return levels === 0 ? "deep" : [nested(levels - 1)];
}
