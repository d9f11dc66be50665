import type { Json } from '#kit/canonical.ts';
import { buildFirmwareImage } from './image.ts';
import { seriesOf } from './versions.ts';
import { buildRuleSchema, buildSimConfig } from './sim-schema.ts';

export interface SimFirmwareOptions {
  /** `CANedge2`, or its type code. */
  readonly model: string;
  /** `01.09.03`. */
  readonly version: string;
  readonly schema?: Json;
  readonly config?: Json;
  /** Told apart from another image of the same version by its bytes. */
  readonly build?: string;
}

/** A firmware image that simulated devices flash: the model's Rule Schema and default config under a real header. */
export function buildSimFirmware(options: SimFirmwareOptions): Uint8Array {
  const series = seriesOf(options.version) ?? '00.00';
  return buildFirmwareImage({
    model: options.model,
    version: options.version,
    schema: options.schema ?? buildRuleSchema(series, options.model),
    config: options.config ?? buildSimConfig(series, options.model),
    ...(options.build === undefined ? {} : { filler: new TextEncoder().encode(options.build) }),
  });
}
