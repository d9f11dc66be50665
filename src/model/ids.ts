declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** The place: the id a fleet repo gives a device. Hardware comes and goes behind it. */
export type DeviceId = Branded<'DeviceId'>;
export type GroupName = Branded<'GroupName'>;
/** SHA-256, 64 lower-case hex digits. */
export type Digest = Branded<'Digest'>;
/** Digest of (version tag, fleet, device, hardware, item, step, declared, expected, occasion): DESIGN.md §4. */
export type OperationId = Branded<'OperationId'>;
/** Digest of everything that a group's devices are told, as opposed to what tells them apart. */
export type ReleaseId = Branded<'ReleaseId'>;
export type RolloutId = Branded<'RolloutId'>;
/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Instant = number;

export const deviceId = (text: string): DeviceId => text as DeviceId;
export const groupName = (text: string): GroupName => text as GroupName;
export const digest = (text: string): Digest => text as Digest;
export const operationId = (text: string): OperationId => text as OperationId;
export const releaseId = (text: string): ReleaseId => text as ReleaseId;
export const rolloutId = (text: string): RolloutId => text as RolloutId;

/** The first seven digits: what people read and write. */
export function shortDigest(id: string): string {
  return id.slice(0, 7);
}
