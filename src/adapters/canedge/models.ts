/** What a `type` code stands for (docs/protocols/canedge-s3.md §1) and the first four bytes of its firmware (§6.1). */
export interface CanedgeModel {
  readonly name: string;
  /** `type` of device.json, 8 upper-case hex digits. */
  readonly type: string;
  /** Model magic of firmware.bin as an unsigned big-endian number. */
  readonly magic: number;
  readonly network: 'none' | 'wifi' | 'cellular';
  readonly gnss: boolean;
}

export const CANEDGE_MODELS: readonly CanedgeModel[] = [
  { name: 'CANedge1', type: '0000001D', magic: 0xdead10cc, network: 'none', gnss: false },
  { name: 'CANedge1 GNSS', type: '0000005D', magic: 0x0f4947cf, network: 'none', gnss: true },
  { name: 'CANedge2', type: '0000001F', magic: 0xbaada555, network: 'wifi', gnss: false },
  { name: 'CANedge2 GNSS', type: '0000005F', magic: 0x7fd43111, network: 'wifi', gnss: true },
  { name: 'CANedge3', type: '0000003D', magic: 0xe670c727, network: 'cellular', gnss: false },
  { name: 'CANedge3 GNSS', type: '0000007D', magic: 0xb74d1858, network: 'cellular', gnss: true },
];

/** Models that can reach a bucket: only these can be managed. */
export const S3_MODEL_NAMES: readonly string[] = CANEDGE_MODELS.filter((model) => model.network !== 'none').map((model) => model.name);

export function modelByName(name: string): CanedgeModel | undefined {
  return CANEDGE_MODELS.find((model) => model.name === name);
}

export function modelByType(type: string): CanedgeModel | undefined {
  return CANEDGE_MODELS.find((model) => model.type === type.toUpperCase());
}

export function modelByMagic(magic: number): CanedgeModel | undefined {
  return CANEDGE_MODELS.find((model) => model.magic === magic);
}
