// Pure: messages as AgentAPI (or a test double of it) wrote them -> messages that Coder's decoder and reader accept.

export interface Message {
  readonly id: number;
  readonly content: string;
  readonly role: "user" | "agent";
  /** RFC 3339. */
  readonly time: string;
}

/** A message as Coder keeps it, beside the fields that only other readers know. */
export interface MendedMessage {
  readonly message: Message;
  readonly extra: Readonly<Record<string, unknown>>;
}

/** Go's zero time, which Coder itself fills in where a message has none. */
const ZERO_TIME = "0001-01-01T00:00:00Z";
/** Go's JSON decoder refuses what is nested deeper than 10,000; no real field comes near this. */
const MAX_DEPTH = 100;

/**
 * Mends each message so that it can't cost the others: one wrong field makes Coder refuse, or later fail to show, the
 * whole snapshot. What can't be mended is left out. `offset` is the first message's place in the whole conversation.
 */
export function mendMessages(
  messages: readonly unknown[],
  offset: number,
): { mended: MendedMessage[]; notes: string[] } {
  const counts = new Map<string, number>();
  const note = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);

  const mended: MendedMessage[] = [];
  let lastTime = messages.map((message) => field(message, "time")).find(isRfc3339) ?? ZERO_TIME;
  messages.forEach((raw, index) => {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
      return note("Left out, no JSON object");
    }
    const { id, content, role, time, ...others } = raw as Record<string, unknown>;
    const text = asText(content);
    if (text === null) return note("Left out, content nested too deep");

    if (text !== content) note("Mended, content was no string");
    if (!Number.isSafeInteger(id)) note("Mended, id was no integer");
    if (role !== "user" && role !== "agent") note("Mended, role was neither user nor agent");
    if (!isRfc3339(time)) note("Mended, time was not RFC 3339");

    lastTime = asTime(time) ?? lastTime;
    mended.push({
      message: {
        id: Number.isSafeInteger(id) ? (id as number) : offset + index,
        content: text,
        role: role === "user" ? "user" : "agent",
        time: lastTime,
      },
      extra: passable(others),
    });
  });
  return {
    mended,
    notes: [...counts].map(([what, count]) => `${what}: ${count} of ${messages.length} messages`),
  };
}

function field(message: unknown, name: string): unknown {
  return (message as Record<string, unknown> | null | undefined)?.[name];
}

/** Returns null where the value can't be written as text. */
function asText(content: unknown): string | null {
  if (typeof content === "string") return content;
  if (content === undefined || content === null) return "";
  return isShallow(content, MAX_DEPTH) ? JSON.stringify(content) : null;
}

/** Returns null where the value is no time at all. */
function asTime(value: unknown): string | null {
  if (isRfc3339(value)) return value;
  const parsed = new Date(typeof value === "string" ? value : Number.NaN);
  const text = Number.isNaN(parsed.getTime()) ? "" : parsed.toISOString();
  return isRfc3339(text) ? text : null;
}

/** As strict as Go's time.Time.UnmarshalJSON: upper-case T and Z, real calendar days, no leap second. */
function isRfc3339(value: unknown): value is string {
  if (typeof value !== "string") return false;
  const match =
    /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/.exec(
      value,
    );
  if (match === null) return false;
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  // Day 0 of the next month is this month's last; 2000 stands for the years that Date.UTC takes for 19xx.
  return day >= 1 && day <= new Date(Date.UTC(year < 100 ? 2000 + year : year, month, 0)).getUTCDate();
}

/** Unknown fields that do no harm: Go matches names without regard to case, so "Content" would replace "content". */
function passable(others: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(others).filter(
      ([name, value]) => !/^(?:id|content|role|time)$/i.test(name) && isShallow(value, MAX_DEPTH),
    ),
  );
}

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1));
}
