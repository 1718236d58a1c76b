// Runs sharp inside the process, the way the other drivers run theirs:
// `node sharp.mjs FOLDER-WITH-NODE_MODULES IN SIDE EXT OUT REPEAT`.
// The file is read once, before the clock starts; the start of node is never counted. One thread and no
// operation cache, so that neither waiting threads nor an earlier run's result enter the clock.
// Prints `peak BYTES` after the first run and `cpu MILLISECONDS` for each later one.

import fs from 'node:fs';
import { createRequire } from 'node:module';

const [folder, input, side, extension, output, repeat] = process.argv.slice(2);
const sharp = createRequire(`${folder}/`)('sharp');
sharp.concurrency(1);
sharp.cache(false);

const effort = +(process.env.SHARP_WEBP_EFFORT ?? 4);
const source = fs.readFileSync(input);

function work() {
  let picture = sharp(source, { animated: input.endsWith('.gif') });
  if (side !== '0') {
    picture = picture.resize(+side, +side, { fit: 'inside', withoutEnlargement: true });
  }
  switch (extension) {
    case 'webp':
      return picture.webp({ quality: 80, effort }).toBuffer();
    case 'avif':
      // Its own defaults: quality 50 on another scale than ours, effort 4.
      return picture.avif().toBuffer();
    default:
      return picture.jpeg({ quality: 80 }).toBuffer();
  }
}

let made = await work();
const status = fs.readFileSync('/proc/self/status', 'utf8');
console.log(`peak ${+/VmHWM:\s+(\d+) kB/.exec(status)[1] * 1024}`);
for (let i = 0; i < +repeat; i++) {
  const before = process.cpuUsage();
  made = await work();
  const { user, system } = process.cpuUsage(before);
  console.log(`cpu ${((user + system) / 1000).toFixed(3)}`);
}
fs.writeFileSync(output, made);
