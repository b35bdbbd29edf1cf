// Run a golden vector through its table.  rustc --edition 2021 -O reader.rs && ./reader NAME.table.json NAME.run.json
use std::{env, fs, process::exit};

/// A decimal number or a hexadecimal float such as -0x1.8p+1, exactly.
fn number(text: &str) -> f64 {
    let (sign, body) = match text.strip_prefix('-') { Some(rest) => (-1.0, rest), None => (1.0, text) };
    let Some(hex) = body.strip_prefix("0x") else { return sign * body.parse::<f64>().expect(text) };
    let (digits, power) = hex.split_once('p').expect(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa = u64::from_str_radix(&format!("{whole}{fraction}"), 16).expect(text) as f64;
    let mut exponent = power.parse::<i32>().expect(text) - 4 * fraction.len() as i32;
    let mut found = sign * mantissa;
    while exponent < -1000 { found *= 2f64.powi(-500); exponent += 500; } // 2^exponent itself may underflow
    found * 2f64.powi(exponent)
}

/// All numbers behind the n-th `"key":`, in nested lists or not; true is 1.
fn numbers(text: &str, key: &str, n: usize) -> Vec<f64> {
    let marked = format!("\"{key}\":");
    let (at, _) = text.match_indices(&marked).nth(n).unwrap_or_else(|| panic!("no {key}"));
    let (mut depth, mut found, mut word) = (0, vec![], String::new());
    for c in text[at + marked.len()..].chars() {
        if c.is_alphanumeric() || "+-.".contains(c) { word.push(c); continue; }
        match word.as_str() { "" => (), "true" => found.push(1.0), "false" => found.push(0.0), w => found.push(number(w)) }
        word.clear();
        depth += match c { '[' => 1, ']' => -1, _ => 0 };
        if depth == 0 && (c == ']' || !found.is_empty()) { break; }
    }
    found
}

fn main() {
    let texts: Vec<String> = env::args().skip(1).map(|name| fs::read_to_string(name).expect("a file")).collect();
    let [table, run] = &texts[..] else { eprintln!("usage: reader NAME.table.json NAME.run.json"); exit(2) };
    let evaluated: Vec<bool> = numbers(table, "evaluated", 0).iter().map(|x| *x == 1.0).collect();
    let (vectors, first) = (evaluated.len(), numbers(table, "given", 0)[0] as usize);
    let matrix = |key| { let all = numbers(table, key, 0); let width = all.len() / (vectors - first); (all, width) };
    let ((states, k_max), (outputs, j_max), (noises, l_max)) = (matrix("states"), matrix("outputs"), matrix("noises"));
    let start = numbers(run, "start", 0);
    let (size, drawn) = (start.len(), numbers(run, "noises", 0));
    // z_i is drawn if a row uses it, in the order of the vectors.
    let mut pieces = drawn.chunks(size);
    let used = |i: usize| (i..vectors - first).any(|r| r - i < l_max && noises[r * l_max + r - i] != 0.0);
    let noise: Vec<Option<&[f64]>> = (0..vectors - first).map(|i| if used(i) { pieces.next() } else { None }).collect();
    let (mut v, mut d) = (vec![start], vec![None::<Vec<f64>>; vectors]);
    let (mut made, mut worst, mut same) = (0, 0f64, true);
    for i in 0..vectors {
        if i >= first {
            let (r, mut new) = (i - first, vec![0.0; size]);
            let mut add = |w: f64, x: &[f64]| if w != 0.0 { new.iter_mut().zip(x).for_each(|(a, b)| *a += w * b) };
            for k in 0..k_max.min(i) { add(states[r * k_max + k], &v[i - 1 - k]) }
            for j in 0..j_max.min(i) { if let Some(x) = &d[i - 1 - j] { add(outputs[r * j_max + j], x) } }
            for l in 0..l_max.min(r + 1) { if let Some(x) = noise[r - l] { add(noises[r * l_max + l], x) } }
            v.push(new);
        }
        if !evaluated[i] && i < vectors - 1 { continue; }
        let expected = if i < vectors - 1 { numbers(run, "input", made) } else { numbers(run, "end", 0) };
        let largest = expected.iter().fold(1e-300, |a: f64, x| a.max(x.abs()));
        for (x, y) in v[i].iter().zip(&expected) {
            same &= (x - y).abs() <= 1e-12 * largest; // false for NaN too
            worst = worst.max((x - y).abs() / largest);
        }
        if evaluated[i] { d[i] = Some(numbers(run, "output", made)); made += 1; }
    }
    println!("{vectors} vectors, {made} evaluations, largest difference {worst:.1e}");
    exit(if same { 0 } else { 1 });
}
