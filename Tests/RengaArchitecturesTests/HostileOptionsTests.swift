// HostileOptionsTests: every option of every family at its bounds: a network's description or an error, never a trap or an endless wait.
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

final class HostileOptionsTests: XCTestCase {
    func testEveryBound() throws {
        var built = 0
        for family in Architectures.all {
            for spec in family.attributes {
                for value in Self.bounds(of: spec) {
                    do {
                        let description = try Architectures.describe(family.name, options: [spec.name: value])
                        XCTAssertGreaterThan(try NetworkSummary(description).parameters, 0)
                        built += 1
                    } catch {
                        XCTAssertTrue(error.message.hasPrefix("\(family.name): "), error.message)
                    }
                }
            }
        }
        XCTAssertGreaterThan(built, 40)
    }

    private static func bounds(of spec: AttributeSpec) -> [String] {
        switch spec.kind {
        case .integer(let bounds): ["\(bounds.lowerBound)", "\(bounds.upperBound)"]
        case .number(let bounds): ["\(bounds.lowerBound)", "\(bounds.upperBound)"]
        case .size: ["1x1x1", "1048576x1048576x1", "1x1x1048576", "1048576x1048576x1048576", "7x1000x2"]
        case .numbers: ["", "1", String(repeating: "0.5 ", count: 64)]
        case .flag, .choice: []
        }
    }

    func testNetworksBeyondMemoryAreRefused() {
        assertFails(.outOfMemory, "bytes") {
            try Architectures.make("cnn", options: ["width": "1024", "stages": "8", "input": "256x256x3"])
        }
        assertFails(.invalidArgument, "resnext", "channels") {
            try Architectures.make("resnext", options: ["width": "1024", "groups": "1024", "depth": "11"])
        }
    }
}
