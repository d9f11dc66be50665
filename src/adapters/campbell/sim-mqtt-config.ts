export interface MqttConfigEntry {
  readonly id: number;
  readonly value: string;
}

const HEADER = 0x0020;
/** Ids 1 to 20 are listed but for 17; what a logger makes of an unknown one is not known, so it is refused (docs/protocols/campbell-mqtt.md §6.2). */
const UNLISTED = 17;
const LAST_ID = 20;

/** Reads mqttCfg.bin (§6.1): 2-byte ids, 4-byte lengths, big-endian; the terminator may be missing. Null: parse failed. */
export function parseMqttConfig(bytes: Uint8Array): readonly MqttConfigEntry[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 2 || view.getUint16(0) !== HEADER) return null;
  const entries: MqttConfigEntry[] = [];
  let at = 2;
  while (at < bytes.length) {
    if (at + 2 > bytes.length) return null;
    const id = view.getUint16(at);
    if (id === 0) return at + 2 === bytes.length ? entries : null;
    if (id > LAST_ID || id === UNLISTED || at + 6 > bytes.length) return null;
    const end = at + 6 + view.getUint32(at + 2);
    if (end > bytes.length) return null;
    entries.push({ id, value: new TextDecoder('latin1').decode(bytes.subarray(at + 6, end)) });
    at = end;
  }
  return entries;
}
