import { resolve } from 'node:path';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, outputs, withTroubles } from '#cli/fleet.ts';
import { untilStopped } from '#cli/serve.ts';
import { pairsOf } from './sim-device.ts';

export interface SimAwsFlags {
  readonly mqttPort: number;
  readonly httpsPort: number;
  readonly host: string;
  readonly ca: string;
  readonly name?: readonly string[];
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly index?: readonly string[];
  readonly switch?: readonly string[];
}

/** AWS IoT alone, until Ctrl-C: MQTT and HTTPS on TLS with client certificates. Shadows live in memory. */
export function simAws(context: CliContext, flags: SimAwsFlags, ...things: readonly string[]): Promise<void> {
  return withTroubles(context, async () => {
    const dir = resolve(context.cli.cwd, flags.ca);
    const server = await started(flags, dir, things);
    const { out } = outputs(context);
    out(`MQTT at ${server.mqttUrl}, HTTPS at ${server.httpsUrl} (there MQTT too, by ALPN x-amzn-mqtt-ca), region ${flags.region}`);
    out(
      `certificates in ${dir}: ${['ca', 'claim', ...things].map((name) => `${name}.pem`).join(', ')} (Ctrl-C ends it, and with it all shadows)`,
    );
    await untilStopped(context.cli.signal);
    await server.close();
    return 0;
  });
}

async function started(flags: SimAwsFlags, dir: string, things: readonly string[]) {
  const { awsFolder, enrolFolder } = await import('#sim/aws/folder.ts');
  const { startAwsIot } = await import('#sim/aws/server.ts');
  const { readSwitches } = await import('#sim/aws/switches.ts');
  const { ScaledClock } = await import('#sim/clock.ts');
  try {
    const switches = readSwitches(pairsOf(flags.switch, 'switch'));
    const server = await startAwsIot({
      clock: new ScaledClock(Date.now(), 1),
      mqttPort: flags.mqttPort,
      httpsPort: flags.httpsPort,
      host: flags.host,
      names: flags.name ?? [],
      account: { region: flags.region, account: '111122223333' },
      ca: await awsFolder(dir),
      credentials: [{ accessKeyId: flags.accessKey, secretAccessKey: flags.secretKey }],
      switches,
    });
    server.index.configuration = { things: 'REGISTRY_AND_SHADOW', connectivity: 'STATUS', namedShadows: flags.index ?? [] };
    await enrolFolder(server, dir, things).catch(async (error: unknown) => {
      await server.close();
      throw error;
    });
    return server;
  } catch (error) {
    // What was written cannot be served: said in one line.
    if (error instanceof RangeError) throw new CliTrouble('BAD_AWS', error.message);
    if (error instanceof Error && error.name === 'AwsError') throw new CliTrouble('BAD_AWS', error.message);
    throw error;
  }
}
