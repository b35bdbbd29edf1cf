// Run a golden vector through its table.  swiftc -O reader.swift && ./reader NAME.table.json NAME.run.json
import Foundation

func object(_ name: String) -> [String: Any] {
    let data = try! Data(contentsOf: URL(fileURLWithPath: name))
    return try! JSONSerialization.jsonObject(with: data) as! [String: Any]
}

/// A number, or the text of a hexadecimal float such as "-0x1.8p+1", which Double reads exactly.
func number(_ value: Any) -> Double { (value as? String).map { Double($0)! } ?? (value as! NSNumber).doubleValue }
func vector(_ value: Any?) -> [Double] { (value as! [Any]).map(number) }
func matrix(_ value: Any?) -> [[Double]] { (value as! [Any]).map(vector) }

guard CommandLine.arguments.count == 3 else { fatalError("usage: reader NAME.table.json NAME.run.json") }
let table = object(CommandLine.arguments[1]), run = object(CommandLine.arguments[2])
let evaluated = (table["evaluated"] as! [NSNumber]).map { $0.boolValue }
let states = matrix(table["states"]), outputs = matrix(table["outputs"]), weights = matrix(table["noises"])
let evaluations = run["evaluations"] as! [[String: Any]]
let first = (table["given"] as! NSNumber).intValue, vectors = evaluated.count

// z_i is drawn if a row uses it, in the order of the vectors.
var drawn = matrix(run["noises"])[...]
var noise = [Int: [Double]]()
for i in first..<vectors where weights.indices.contains(where: { r in
    let lag = r + first - i
    return lag >= 0 && lag < weights[r].count && weights[r][lag] != 0
}) {
    noise[i] = drawn.removeFirst()
}

var v = [vector(run["start"])]
var d = [Int: [Double]]()
var made = 0, worst = 0.0, same = true
for i in 0..<vectors {
    if i >= first {
        var new = [Double](repeating: 0, count: v[0].count)
        func add(_ weight: Double, _ x: [Double]?) {
            guard weight != 0, let x = x else { return }
            for c in new.indices { new[c] += weight * x[c] }
        }
        for (k, weight) in states[i - first].enumerated() where k < i { add(weight, v[i - 1 - k]) }
        for (j, weight) in outputs[i - first].enumerated() { add(weight, d[i - 1 - j]) }
        for (l, weight) in weights[i - first].enumerated() { add(weight, noise[i - l]) }
        v.append(new)
    }
    if !evaluated[i] && i < vectors - 1 { continue }
    let expected = vector(i < vectors - 1 ? evaluations[made]["input"] : run["end"])
    let largest = expected.map(abs).max()!
    for gap in zip(v[i], expected).map({ abs($0 - $1) }) {
        same = same && gap <= 1e-12 * largest  // false for NaN too
        worst = max(worst, largest > 0 ? gap / largest : gap)
    }
    if evaluated[i] {
        d[i] = vector(evaluations[made]["output"])
        made += 1
    }
}
print("\(vectors) vectors, \(made) evaluations, largest difference \(String(format: "%.1e", worst))")
exit(same ? 0 : 1)
