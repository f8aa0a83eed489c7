// HostileOptionsTests: every option of every operator at and beyond its bounds, on small and on extreme shapes: an answer or an error.
import RengaNetwork
import TestSupport
import XCTest

final class HostileOptionsTests: XCTestCase {
    private static let shapes = [
        Shape(n: 1, h: 1, w: 1, c: 1), Shape(n: 2, h: 5, w: 3, c: 4), Shape(n: 1, h: 1 << 20, w: 1 << 20, c: 1),
        Shape(n: 1 << 30, h: 1, w: 1, c: 1 << 10), Shape(n: 1, h: 1, w: 1 << 30, c: 1),
        Shape(n: 1, h: 1, w: 1, c: 1 << 30),
        Shape(n: .max, h: .max, w: .max, c: .max), Shape(n: .min, h: 0, w: -1, c: 1),
    ]

    private static let texts = [
        "", "0", "1", "2", "7", "4096", "4097", "1048576", "1048577", "1073741824", "-1", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808", "1e400", "nan", "inf", "-0.0", "0.99", "1e-12", "yes", "no",
        "train", "é",
    ]

    /// What is accepted has a shape that either passes the check of shapes or is refused by it; nothing traps.
    func testEveryOptionAloneAndInPairs() {
        var accepted = 0
        for type in OperatorTable.all {
            for attributes in Self.variants(of: type) {
                guard let op = try? OperatorTable.make(type.name, attributes) else { continue }
                for shape in Self.shapes {
                    for sources in [[shape], [shape, shape], Array(repeating: shape, count: 64)] {
                        guard (try? op.outputShape(sources).validated("dst")) != nil else { continue }
                        XCTAssertGreaterThanOrEqual(op.macs(sources), 0)
                        for spec in (try? op.parameters(sources)) ?? [] { XCTAssertGreaterThan(spec.count, 0) }
                        accepted += 1
                    }
                }
            }
        }
        XCTAssertGreaterThan(accepted, 300)
    }

    /// The operator as it is, then each option with each text, half of the time beside another.
    private static func variants(of type: any Operator.Type) -> [Attributes] {
        var random = TestRandom(17)
        let names = type.attributes.map(\.name)
        var usual: Attributes = ["channels": "4", "kernel": "2", "count": "1"].filter { names.contains($0.key) }
        if case .choice(let words) = type.attributes.first(where: { $0.name == "function" })?.kind {
            usual["function"] = words[0]
        }
        var variants = [usual]
        for name in names {
            for text in texts {
                var attributes = usual
                if random.index(2) == 0 {
                    attributes[names[random.index(names.count)]] = texts[random.index(texts.count)]
                }
                attributes[name] = text
                variants.append(attributes)
            }
        }
        return variants
    }

    /// Parameters beyond the memory of any machine are refused before anything is allocated.
    func testParametersBeyondMemory() throws {
        var builder = NetworkBuilder()
        var value = try builder.addInput(h: 1, w: 1, c: 1 << 19)
        for _ in 0..<64 { value = try builder.add(Linear(channels: 1 << 19), value) }
        assertFails(.outOfMemory, "bytes", "machine") { try builder.build(outputs: [value]) }
        XCTAssertEqual(
            try NetworkSummary(NetworkDescription(builder.structure(outputs: [value]))).parameters,
            64 * (1 << 38 + 1 << 19))
    }
}
