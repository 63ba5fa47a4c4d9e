/* Counts the frames of a bus with the npm package socketcan until it is told to end; then prints how many there were.
   Usage: npm-receiver.cjs PACKAGE INTERFACE */
const [, , main, interfaceName] = process.argv;
const can = require(main);

const channel = can.createRawChannel(interfaceName, true);
let frames = 0;
channel.addListener('onMessage', () => {
  frames++;
});
channel.start();
process.on('SIGTERM', () => {
  process.stdout.write(`${frames}\n`, () => process.exit(0));
});
process.stdout.write('ready\n');
