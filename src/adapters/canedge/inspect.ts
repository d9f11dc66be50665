import { crc32Hex, sha256 } from '#kit/digest.ts';
import { buildBundle, parseBundle, type BundleCertificate } from './bundle.ts';
import { parseFirmwareImage, type FirmwareImage } from './image.ts';
import { modelByMagic } from './models.ts';
import { compileRuleSchema } from './schema.ts';

/** What a file that goes to a CANedge says of itself; for people who hold one in their hands. */
export type Inspection =
  | {
      readonly kind: 'firmware';
      readonly file: FileFacts;
      readonly model: string;
      /** Type code as device.json has it. */
      readonly type: string;
      readonly version: string;
      readonly series: string;
      readonly schemaBytes: number;
      /** Why the embedded Rule Schema cannot be used; null when it can. */
      readonly schemaProblem: string | null;
      readonly configBytes: number;
      /** What the embedded Rule Schema refuses in the embedded default config. */
      readonly configProblems: readonly string[];
    }
  | {
      readonly kind: 'bundle';
      readonly file: FileFacts;
      readonly certificates: readonly Omit<BundleCertificate, 'der' | 'subject' | 'issuer'>[];
      /** Why a device would not take them together: by whether it tells certificates apart by their subjects (CANedge2). */
      readonly problems: { readonly wifi: string | null; readonly cellular: string | null };
    }
  | { readonly kind: 'unknown'; readonly file: FileFacts; readonly why: string };

export interface FileFacts {
  readonly size: number;
  readonly crc32: string;
  readonly sha256: string;
}

/**
 * Reads a firmware image or a bundle of server certificates (docs/protocols/canedge-s3.md §6.1, §7.2), told apart by the
 * model magic in the first four bytes. Never throws: a file that is neither is `unknown`, with both reasons.
 */
export function inspectFile(bytes: Uint8Array): Inspection {
  const file = { size: bytes.length, crc32: crc32Hex(bytes), sha256: sha256(bytes) };
  const image = parseFirmwareImage(bytes);
  if (image.ok) return firmwareOf(image.value, file);
  const bundle = parseBundle(bytes);
  if (bundle.ok) return bundleOf(bundle.value, file);
  const firmware = bytes.length >= 4 && modelByMagic(Buffer.from(bytes).readUInt32BE(0)) !== undefined;
  const why =
    firmware || bytes.length === 0
      ? (firmware ? image.error : bundle.error).message
      : `no firmware: ${image.error.message}; no certificates: ${bundle.error.message}`;
  return { kind: 'unknown', file, why };
}

function firmwareOf(image: FirmwareImage, file: FileFacts): Inspection {
  const schema = compileRuleSchema(image.schema.bytes);
  return {
    kind: 'firmware',
    file,
    model: image.model.name,
    type: image.model.type,
    version: image.version,
    series: image.series,
    schemaBytes: image.schema.bytes.length,
    schemaProblem: schema.ok ? null : schema.error.message,
    configBytes: image.config.bytes.length,
    configProblems: schema.ok ? schema.value.check(image.config.document) : [],
  };
}

function bundleOf(certificates: readonly BundleCertificate[], file: FileFacts): Inspection {
  const problem = (distinctSubjects: boolean): string | null => {
    const built = buildBundle(certificates, { distinctSubjects });
    return built.ok ? null : built.error.message;
  };
  return {
    kind: 'bundle',
    file,
    certificates: certificates.map(({ name, notBefore, notAfter, hashes }) => ({ name, notBefore, notAfter, hashes })),
    problems: { wifi: problem(true), cellular: problem(false) },
  };
}
