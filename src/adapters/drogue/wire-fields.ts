import { CborError, type CborReader } from './cbor.ts';
import { versionText } from './version.ts';

export interface Draft<Key extends string> {
  /** Reads the value of a key. */
  value(key: Key, reader: CborReader): void;
  /** Reads or skips the value of a key that is not of this message. */
  foreign(key: string | number, reader: CborReader): void;
  /** Called with the kind of each key that is known. */
  named?(named: boolean): void;
}

/** A map with text, byte-string or integer keys in any order, or an array in field order with nothing left out (§1.4). */
export function readFields<Key extends string>(reader: CborReader, keys: readonly Key[], draft: Draft<Key>): void {
  if (reader.kind() === 'array') {
    const count = reader.array((index) => {
      const key = keys[index];
      if (key === undefined) throw new CborError('an array has too many elements');
      draft.value(key, reader);
    });
    if (count !== keys.length) throw new CborError('an array has too few elements');
    return;
  }
  const seen = new Set<Key>();
  reader.map(() => {
    const named = readKey(reader);
    const key = typeof named === 'number' ? keys[named] : keys.find((one) => one === named);
    if (key === undefined) {
      draft.foreign(named, reader);
      return;
    }
    if (seen.has(key)) throw new CborError(`\`${key}\` stands twice`);
    seen.add(key);
    draft.named?.(typeof named === 'string');
    draft.value(key, reader);
  });
}

export function readKey(reader: CborReader): string | number {
  reader.skipTags();
  switch (reader.kind()) {
    case 'uint':
      return reader.uint32();
    case 'text':
      return reader.textString();
    case 'bytes':
      return versionText(reader.byteString());
    default:
      throw new CborError('a key is neither a text nor an integer');
  }
}
