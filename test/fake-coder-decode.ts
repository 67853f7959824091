// What Coder's decoder makes of a posted snapshot, field by field (agentapisdk.GetMessagesResponse).
import { decodeUtf8, type GoJson, GoJsonError, parseFirstValue } from "./fake-go-json.ts";

export interface StoredMessage {
  id: number;
  content: string;
  role: string;
  time: string;
}

/** Go's zero value of time.Time. */
export const zeroTime = "0001-01-01T00:00:00Z";

/** null: the payload is readable but has no messages. Throws GoJsonError for what Go refuses to decode. */
export function decodeSnapshot(body: Uint8Array): StoredMessage[] | null {
  const payload = parseFirstValue(decodeUtf8(body));
  let messages: StoredMessage[] | null = null;
  for (const [name, value] of membersOf(payload, "Go value of type GetMessagesResponse")) {
    if (!isField("messages", name)) continue;
    if (value.kind === "null") messages = null;
    else if (value.kind === "array") messages = value.items.map(decodeMessage);
    else throw wrongType(value, "messages", "[]Message");
  }
  return messages;
}

function decodeMessage(json: GoJson): StoredMessage {
  const message: StoredMessage = { id: 0, content: "", role: "", time: zeroTime };
  for (const [name, value] of membersOf(json, "Go struct field messages of type Message")) {
    if (value.kind === "null") continue; // null leaves the zero value
    if (isField("id", name)) message.id = decodeInt64(value);
    if (isField("content", name)) message.content = decodeString(value, "content");
    if (isField("role", name)) message.role = decodeString(value, "role");
    if (isField("time", name)) message.time = decodeTime(value);
  }
  return message;
}

function membersOf(json: GoJson, target: string): [string, GoJson][] {
  if (json.kind === "null") return [];
  if (json.kind === "object") return json.members;
  throw new GoJsonError(`json: cannot unmarshal ${json.kind} into ${target}`);
}

/** Go matches names without case, by Unicode's simple folding, which is what the flags i and u do. */
function isField(field: string, name: string): boolean {
  return new RegExp(`^${field}$`, "iu").test(name);
}

function decodeInt64(json: GoJson): number {
  if (json.kind !== "number") throw wrongType(json, "messages.id", "int64");
  const whole = /^-?\d+$/.test(json.source) ? BigInt(json.source) : null;
  if (whole === null || BigInt.asIntN(64, whole) !== whole) throw wrongType(json, "messages.id", "int64");
  return Number(whole);
}

function decodeString(json: GoJson, field: string): string {
  if (json.kind !== "string") throw wrongType(json, `messages.${field}`, "string");
  return json.value;
}

const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

/**
 * RFC 3339 to the letter, in the form Go writes it again (nanoseconds without trailing zeros, UTC as Z).
 * Today's Go also takes "9:31:04" and a comma for the point, and means to stop (golang/go#54580).
 */
function decodeTime(json: GoJson): string {
  if (json.kind !== "string") throw new GoJsonError("Time.UnmarshalJSON: input is not a JSON string");
  // Go hands over the source, so that escapes are not undone.
  const text = json.source.slice(1, -1);
  const match = rfc3339.exec(text);
  const [, year = "", month = "", day = "", , , , fraction = "", sign, hours, minutes] = match ?? [];
  if (!match || !isCalendarDay(Number(year), Number(month), Number(day))) {
    throw new GoJsonError(`parsing time ${json.source} as "2006-01-02T15:04:05Z07:00": cannot parse`);
  }
  const nanoseconds = fraction.slice(0, 9).replace(/0+$/, "");
  const isUtc = sign === undefined || `${hours}:${minutes}` === "00:00";
  return [
    text.slice(0, "2006-01-02T15:04:05".length),
    nanoseconds && `.${nanoseconds}`,
    isUtc ? "Z" : `${sign}${hours}:${minutes}`,
  ].join("");
}

function isCalendarDay(year: number, month: number, day: number): boolean {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day && month >= 1;
}

function wrongType(json: GoJson, field: string, type: string): GoJsonError {
  const found = json.kind === "number" ? `number ${json.source}` : json.kind;
  return new GoJsonError(
    `json: cannot unmarshal ${found} into Go struct field GetMessagesResponse.${field} of type ${type}`,
  );
}
