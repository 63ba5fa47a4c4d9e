/** What samples of this machine's own health have for a bus. No bus is called so. */
export const HOST_BUS_NAME = 'host';
