/**
 * What `ip -json -details -statistics link show dev NAME` prints (iproute2 6.1): of a controller as an MCP2515
 * is, and of a virtual bus.
 */
export interface ControllerChanges {
  readonly isUp?: boolean;
  readonly mtu?: number;
  readonly txqlen?: number;
  readonly state?: string;
  /** Null for one that was never set. */
  readonly bitrate?: number | null;
  readonly samplePoint?: string;
  readonly dataBitrate?: number;
  readonly restartMs?: number;
  readonly modes?: readonly string[];
  readonly errors?: { readonly tx: number; readonly rx: number };
  readonly busOffs?: number;
}

interface Link {
  readonly linkinfo: {
    readonly info_kind: string;
    readonly info_data?: unknown;
    readonly info_xstats?: unknown;
  };
  readonly [name: string]: unknown;
}

export function ipText(links: readonly unknown[]): string {
  return `${JSON.stringify(links)}\n`;
}

export function canController(changes: ControllerChanges = {}): Link[] {
  const { isUp = true, mtu = 16, txqlen = 10, state = 'ERROR-ACTIVE', bitrate = 500_000 } = changes;
  const {
    samplePoint = '0.875',
    dataBitrate,
    restartMs = 0,
    modes = [],
    errors = { tx: 0, rx: 0 },
  } = changes;
  return [
    {
      ifindex: 3,
      ifname: 'can0',
      flags: isUp ? ['NOARP', 'UP', 'LOWER_UP', 'ECHO'] : ['NOARP', 'ECHO'],
      mtu,
      qdisc: isUp ? 'pfifo_fast' : 'noop',
      operstate: isUp ? 'UP' : 'DOWN',
      linkmode: 'DEFAULT',
      group: 'default',
      txqlen,
      link_type: 'can',
      promiscuity: 0,
      allmulti: 0,
      min_mtu: 0,
      max_mtu: 0,
      linkinfo: {
        info_kind: 'can',
        info_data: {
          ...(modes.length > 0 && { ctrlmode: modes }),
          state,
          berr_counter: errors,
          restart_ms: restartMs,
          ...(bitrate !== null && {
            bittiming: {
              bitrate,
              sample_point: samplePoint,
              tq: 125,
              prop_seg: 6,
              phase_seg1: 7,
              phase_seg2: 2,
              sjw: 1,
              brp: 1,
            },
          }),
          bittiming_const: {
            name: 'mcp251x',
            tseg1: { min: 3, max: 16 },
            tseg2: { min: 2, max: 8 },
            sjw: { min: 1, max: 4 },
            brp: { min: 1, max: 64 },
            brp_inc: 1,
          },
          ...(dataBitrate !== undefined && {
            data_bittiming: {
              bitrate: dataBitrate,
              sample_point: '0.750',
              tq: 25,
              prop_seg: 7,
              phase_seg1: 7,
              phase_seg2: 5,
              sjw: 1,
              brp: 1,
              tdc: { tdcv: 0, tdco: 15, tdcf: 0 },
            },
          }),
          clock: 8_000_000,
        },
        info_xstats: {
          restarts: 0,
          bus_error: 0,
          arbitration_lost: 0,
          error_warning: 0,
          error_passive: 0,
          bus_off: changes.busOffs ?? 0,
        },
      },
      num_tx_queues: 1,
      num_rx_queues: 1,
      gso_max_size: 65_536,
      gso_max_segs: 65_535,
      parentbus: 'spi',
      parentdev: 'spi0.0',
      stats64: {
        rx: { bytes: 1_234, packets: 321, errors: 0, dropped: 0, over_errors: 0, multicast: 0 },
        tx: { bytes: 0, packets: 0, errors: 0, dropped: 0, carrier_errors: 0, collisions: 0 },
      },
    },
  ];
}

export function vcan(
  name: string,
  { isUp = true, mtu = 72, txqlen = 1000 }: { isUp?: boolean; mtu?: number; txqlen?: number } = {},
): Link[] {
  return [
    {
      ifindex: 3,
      ifname: name,
      flags: isUp ? ['NOARP', 'UP', 'LOWER_UP'] : ['NOARP'],
      mtu,
      qdisc: isUp ? 'noqueue' : 'noop',
      operstate: isUp ? 'UNKNOWN' : 'DOWN',
      linkmode: 'DEFAULT',
      group: 'default',
      txqlen,
      link_type: 'can',
      promiscuity: 0,
      allmulti: 0,
      min_mtu: 0,
      max_mtu: 0,
      linkinfo: { info_kind: 'vcan' },
      num_tx_queues: 1,
      num_rx_queues: 1,
      gso_max_size: 65_536,
      gso_max_segs: 65_535,
    },
  ];
}
