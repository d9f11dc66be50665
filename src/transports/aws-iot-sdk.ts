import {
  DescribeCertificateCommand,
  DescribeEndpointCommand,
  IoTClient,
  ListPrincipalThingsCommand,
  SearchIndexCommand,
  UpdateCertificateCommand,
} from '@aws-sdk/client-iot';
import { GetThingShadowCommand, IoTDataPlaneClient, UpdateThingShadowCommand } from '@aws-sdk/client-iot-data-plane';

/** The few of the hundreds of commands of AWS IoT that are used, so that a bundle carries no others. Loaded when first needed. */
export const awsIotSdk = {
  DescribeCertificateCommand,
  DescribeEndpointCommand,
  GetThingShadowCommand,
  IoTClient,
  IoTDataPlaneClient,
  ListPrincipalThingsCommand,
  SearchIndexCommand,
  UpdateCertificateCommand,
  UpdateThingShadowCommand,
} as const;
