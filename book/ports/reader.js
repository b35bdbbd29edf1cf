// Run a golden vector through its table.  node reader.js NAME.table.json NAME.run.json
const fs = require("fs");

// A number, or the text of a hexadecimal float such as "-0x1.8p+1", exactly.
function number(value) {
  if (typeof value === "number") return value;
  const [, sign, whole, fraction = "", power] = /^([+-]?)0x([0-9a-f]+)\.?([0-9a-f]*)p([+-]?\d+)$/i.exec(value);
  let found = 0;
  for (const digit of whole + fraction) found = found * 16 + parseInt(digit, 16);
  let exponent = Number(power) - 4 * fraction.length;
  for (; exponent < -1000; exponent += 500) found *= 2 ** -500; // a subnormal scale is not a power of two in one step
  for (; exponent > 1000; exponent -= 500) found *= 2 ** 500;
  return (sign === "-" ? -1 : 1) * found * 2 ** exponent;
}

const numbers = (list) => list.map((entry) => (Array.isArray(entry) ? numbers(entry) : number(entry)));

function replay(table, run) {
  const [states, outputs, noises] = ["states", "outputs", "noises"].map((key) => numbers(table[key]));
  const z = numbers(run.noises);
  const first = table.given;
  const vectors = table.points.length;
  // z_i is drawn if a row uses it, in the order of the vectors.
  const noise = [];
  for (let i = first; i < vectors; i++)
    if (noises.some((row, r) => r + first >= i && row[r + first - i])) noise[i] = z.shift();
  const v = [numbers(run.start)];
  const d = [];
  let worst = 0;
  let made = 0;
  for (let i = 0; i < vectors; i++) {
    if (i >= first) {
      v[i] = new Array(v[0].length).fill(0);
      const add = (weight, vector) => weight && vector.forEach((x, c) => (v[i][c] += weight * x));
      states[i - first].forEach((weight, k) => add(weight, v[i - 1 - k]));
      outputs[i - first].forEach((weight, j) => add(weight, d[i - 1 - j]));
      noises[i - first].forEach((weight, l) => add(weight, noise[i - l]));
    }
    if (!table.evaluated[i] && i < vectors - 1) continue;
    const expected = numbers(i < vectors - 1 ? run.evaluations[made].input : run.end);
    const largest = Math.max(...expected.map(Math.abs)) || 1;
    worst = Math.max(worst, ...expected.map((x, c) => Math.abs(x - v[i][c]) / largest));
    if (table.evaluated[i]) d[i] = numbers(run.evaluations[made++].output);
  }
  return { vectors, made, worst };
}

const names = process.argv.slice(2);
if (names.length !== 2) {
  console.error("usage: reader NAME.table.json NAME.run.json");
  process.exit(2);
}
const [table, run] = names.map((name) => JSON.parse(fs.readFileSync(name, "utf8")));
const { vectors, made, worst } = replay(table, run);
console.log(`${vectors} vectors, ${made} evaluations, largest difference ${worst.toExponential(1)}`);
process.exit(worst <= 1e-12 ? 0 : 1); // NaN is not below
