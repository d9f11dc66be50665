import { resolve } from 'node:path';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, outputs, withTroubles } from '#cli/fleet.ts';
import { untilStopped } from '#cli/serve.ts';
import { pairsOf } from './sim-device.ts';

export interface SimAzureFlags {
  readonly mqttPort: number;
  readonly httpsPort: number;
  readonly host: string;
  readonly hostName: string;
  readonly ca: string;
  readonly key: string;
  readonly switch?: readonly string[];
}

/** An Azure IoT hub alone, until Ctrl-C: MQTT and HTTPS on TLS, tokens checked. Twins live in memory. */
export function simAzure(context: CliContext, flags: SimAzureFlags, ...devices: readonly string[]): Promise<void> {
  return withTroubles(context, async () => {
    const dir = resolve(context.cli.cwd, flags.ca);
    const server = await started(flags, dir, devices);
    const { out } = outputs(context);
    out(`MQTT at ${server.mqttUrl}, HTTPS at ${server.httpsUrl}, host name ${flags.hostName}`);
    out(`certificates in ${dir}: ${['ca', ...devices].map((name) => `${name}.pem`).join(', ')} (Ctrl-C ends it, and with it all twins)`);
    await untilStopped(context.cli.signal);
    await server.close();
    return 0;
  });
}

async function started(flags: SimAzureFlags, dir: string, devices: readonly string[]) {
  const { awsFolder } = await import('#sim/aws/folder.ts');
  const { certifyFolder } = await import('#sim/azure/folder.ts');
  const { startAzureHub, usualPolicies } = await import('#sim/azure/server.ts');
  const { readAzureSwitches } = await import('#sim/azure/switches.ts');
  const { ScaledClock } = await import('#sim/clock.ts');
  try {
    const server = await startAzureHub({
      clock: new ScaledClock(Date.now(), 1),
      mqttPort: flags.mqttPort,
      httpsPort: flags.httpsPort,
      host: flags.host,
      hostName: flags.hostName,
      ca: await awsFolder(dir),
      policies: usualPolicies(flags.key),
      switches: readAzureSwitches(pairsOf(flags.switch, 'switch')),
    });
    try {
      for (const device of devices) server.twins.addDevice(device, { keys: [flags.key], certificateAuthority: true });
      await certifyFolder(server, dir, devices);
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  } catch (error) {
    // What was written cannot be served: said in one line.
    if (error instanceof RangeError) throw new CliTrouble('BAD_AZURE', error.message);
    throw error;
  }
}
