/**
 * QR codes of addresses (ISO/IEC 18004): byte mode, error correction M, versions 1 to 10, up to 213 bytes.
 */

/** Of each version with error correction M: check bytes a block, and blocks as [count, data bytes] in their order. */
const BLOCKS = [
  [10, [1, 16]], [16, [1, 28]], [26, [1, 44]], [18, [2, 32]], [24, [2, 43]], [16, [4, 27]], [18, [4, 31]],
  [22, [2, 38], [2, 39]], [22, [3, 36], [2, 37]], [26, [4, 43], [1, 44]],
];
/** The centres of each version's alignment patterns. */
const CENTRES = [
  [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50],
];

// The field of 256 elements in which the check bytes are counted, by the polynomial x⁸+x⁴+x³+x²+1.
const POWERS = [];
const LOGARITHMS = [];
for (let [exponent, value] = [0, 1]; exponent < 255; exponent++) {
  POWERS[exponent] = value;
  LOGARITHMS[value] = exponent;
  value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}
const times = (a, b) => (a && b ? POWERS[(LOGARITHMS[a] + LOGARITHMS[b]) % 255] : 0);

/** The check bytes of a block: what is left when it is divided by (x−1)(x−α)…(x−αⁿ⁻¹). */
function checkBytes(block, count) {
  let divisor = [1];
  for (let root = 0; root < count; root++) {
    const next = [...divisor, 0];
    divisor.forEach((factor, index) => { next[index + 1] ^= times(factor, POWERS[root]); });
    divisor = next;
  }
  const rest = [...block, ...new Array(count).fill(0)];
  for (let index = 0; index < block.length; index++) {
    const factor = rest[index];
    divisor.forEach((part, place) => { rest[index + place] ^= times(part, factor); });
  }
  return rest.slice(block.length);
}

/** The remainder of a number of 2 or 18 bits' worth of information, as formats and versions are protected. */
function protect(value, divisor, degree) {
  let rest = value << degree;
  for (let bit = 31 - Math.clz32(rest); rest >= 1 << degree; bit = 31 - Math.clz32(rest)) {
    rest ^= divisor << (bit - degree);
  }
  return (value << degree) | rest;
}

/** The bytes of a code: mode, length, text, padding, check bytes, blocks interleaved. */
function codewords(bytes, version) {
  const [checks, ...groups] = BLOCKS[version - 1];
  const capacity = groups.reduce((sum, [count, size]) => sum + count * size, 0);
  const lengthBits = version < 10 ? 8 : 16;
  let bits = "0100" + bytes.length.toString(2).padStart(lengthBits, "0");
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  bits += "0".repeat(Math.min(4, capacity * 8 - bits.length));
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "0");
  const data = bits.match(/.{8}/g).map((text) => parseInt(text, 2));
  for (let pad = 0xec; data.length < capacity; pad ^= 0xec ^ 0x11) data.push(pad);
  const blocks = groups.flatMap(([count, size]) => Array.from({ length: count }, () => data.splice(0, size)));
  const interleave = (lists) => {
    const longest = Math.max(...lists.map((list) => list.length));
    return Array.from({ length: longest }, (_, index) => lists.map((list) => list[index])).flat()
      .filter((value) => value !== undefined);
  };
  return [...interleave(blocks), ...interleave(blocks.map((block) => checkBytes(block, checks)))];
}

const MASKS = [
  (x, y) => (x + y) % 2 === 0, (x, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0, (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** How hard a pattern is to read: runs, squares, what looks like a finder, and too much of one colour. */
function penalty(modules) {
  const size = modules.length;
  let [total, dark] = [0, 0];
  const lines = [...modules, ...modules.map((_, x) => modules.map((row) => row[x]))];
  for (const line of lines) {
    const text = line.map((isDark) => (isDark ? "1" : "0")).join("");
    for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) total += run.length - 2;
    for (const pattern of ["10111010000", "00001011101"]) {
      for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + 1)) total += 40;
    }
  }
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (modules[y][x]) dark++;
      const same = [modules[y][x + 1], modules[y + 1]?.[x], modules[y + 1]?.[x + 1]];
      if (same.every((value) => value === modules[y][x])) total += 3;
    }
  }
  return total + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}

/**
 * Makes the code of a text.
 *
 * @param {string} text Up to 213 bytes of UTF-8; a `RangeError` for more.
 * @returns {boolean[][]} Rows of modules, true where dark, without the quiet zone of four around them.
 */
export function qrCode(text) {
  const bytes = new TextEncoder().encode(text);
  const fits = ([, ...groups], index) =>
    groups.reduce((sum, [count, size]) => sum + count * size, 0) >= bytes.length + (index < 9 ? 2 : 3);
  const version = BLOCKS.findIndex(fits) + 1;
  if (!version) throw new RangeError(`A text of ${bytes.length} bytes; a code holds up to 213.`);
  const size = 17 + 4 * version;
  // What is undefined carries data.
  const fixed = Array.from({ length: size }, () => new Array(size));
  const set = (x, y, isDark) => { if (fixed[y]?.length > x && x >= 0) fixed[y][x] = isDark; };
  const square = (x, y, radius, isDark) => {
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) set(x + dx, y + dy, isDark(Math.max(Math.abs(dx), Math.abs(dy))));
    }
  };
  for (let index = 0; index < size; index++) {
    set(6, index, index % 2 === 0);
    set(index, 6, index % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    square(x, y, 4, (distance) => distance !== 2 && distance !== 4);
  }
  const centres = CENTRES[version - 1];
  for (const x of centres) {
    for (const y of centres) {
      const isAtFinder = (x === 6 && (y === 6 || y === size - 7)) || (x === size - 7 && y === 6);
      if (!isAtFinder) square(x, y, 2, (distance) => distance !== 1);
    }
  }
  const drawVersion = version >= 7 ? protect(version, 0x1f25, 12) : 0;
  for (let bit = 0; version >= 7 && bit < 18; bit++) {
    const [a, b] = [size - 11 + (bit % 3), Math.floor(bit / 3)];
    set(a, b, ((drawVersion >> bit) & 1) === 1);
    set(b, a, ((drawVersion >> bit) & 1) === 1);
  }
  const drawFormat = (mask) => {
    // Error correction M is 00.
    const format = protect(mask, 0x537, 10) ^ 0x5412;
    for (let bit = 0; bit < 15; bit++) {
      const isDark = ((format >> bit) & 1) === 1;
      set(8, bit < 6 ? bit : bit < 8 ? bit + 1 : size - 15 + bit, isDark);
      set(bit < 8 ? size - 1 - bit : bit === 8 ? 7 : 14 - bit, 8, isDark);
    }
    set(8, size - 8, true);
  };
  drawFormat(0);
  // Two columns at a time from the right, up and down in turn, past the vertical timing pattern.
  const places = [];
  for (let [right, isUp] = [size - 1, true]; right > 0; right -= 2, isUp = !isUp) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = isUp ? size - 1 - step : step;
      for (const x of [right, right - 1]) if (fixed[y][x] === undefined) places.push([x, y]);
    }
  }
  const data = codewords(bytes, version);
  const candidates = MASKS.map((isFlipped, mask) => {
    drawFormat(mask);
    const modules = fixed.map((row) => [...row]);
    places.forEach(([x, y], index) => {
      const isDark = ((data[index >> 3] >> (7 - (index & 7))) & 1) === 1;
      modules[y][x] = isDark !== isFlipped(x, y);
    });
    return modules;
  });
  const penalties = candidates.map(penalty);
  return candidates[penalties.indexOf(Math.min(...penalties))];
}
