import type { CliContext } from '#cli/context.ts';
import { outputs, withTroubles } from '#cli/fleet.ts';
import { untilStopped } from '#cli/serve.ts';

export interface SimS3Flags {
  readonly port: number;
  readonly host: string;
  readonly bucket: readonly string[];
  readonly accessKey: string;
  readonly secretKey: string;
}

/** The embedded S3 server alone, until Ctrl-C. Objects live in memory. */
export function simS3(context: CliContext, flags: SimS3Flags): Promise<void> {
  return withTroubles(context, async () => {
    const { startS3Server } = await import('#sim/s3/server.ts');
    const credentials = [{ accessKeyId: flags.accessKey, secretAccessKey: flags.secretKey }];
    const server = await startS3Server({ port: flags.port, host: flags.host, buckets: flags.bucket, credentials });
    const { out } = outputs(context);
    out(
      `S3 at ${server.url}, path style, buckets ${flags.bucket.join(', ')}, access key ${flags.accessKey} (Ctrl-C ends it, and with it all objects)`,
    );
    await untilStopped(context.cli.signal);
    await server.close();
    return 0;
  });
}
