// ResNetTests: parameter and MAC counts against the published ones, the graph's shape, and options that must be refused.
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

final class ResNetTests: XCTestCase {
    private func summary(_ options: String) throws -> NetworkSummary {
        try NetworkSummary(Architectures.describe("resnet", options: Attributes(text: options)))
    }

    /// Counts of He et al. (0.27M, 0.85M, 1.7M; 11.7M, 25.6M …), exact as computed from the definitions and as torchvision has them.
    func testParameterCounts() throws {
        let published: [(String, Int)] = [
            ("depth=20", 269_722), ("depth=32", 464_154), ("depth=44", 658_586), ("depth=56", 853_018),
            ("depth=110", 1_727_962),
            ("depth=18,stem=imagenet,classes=1000", 11_689_512), ("depth=34,stem=imagenet,classes=1000", 21_797_672),
            ("depth=50,stem=imagenet,classes=1000", 25_557_032), ("depth=101,stem=imagenet,classes=1000", 44_549_160),
            ("depth=152,stem=imagenet,classes=1000", 60_192_808),
        ]
        for (options, count) in published { XCTAssertEqual(try summary(options).parameters, count, options) }
    }

    /// The ResNet column of the merge-and-run table: projections, and a stem as wide as the first stage.
    func testParameterCountsWithProjections() throws {
        let computed: [(String, Int)] = [
            ("depth=14", 175_258), ("depth=26", 369_690), ("depth=110", 1_730_714),
            ("depth=110,classes=100", 1_736_564),
            ("depth=62,widen=4", 15_178_314), ("depth=98,widen=4,classes=100", 24_501_924),
        ]
        for (options, count) in computed {
            XCTAssertEqual(try summary(options + ",shortcut=project").parameters, count, options)
        }
    }

    func testMultiplyAccumulates() throws {
        XCTAssertEqual(try summary("depth=20").macs, 40_551_040)
        assertClose(Double(try summary("depth=56").macs), 125.5e6, tolerance: 0.1e6)
        assertClose(Double(try summary("depth=50,stem=imagenet,classes=1000").macs), 4.09e9, tolerance: 0.005e9)
        assertClose(Double(try summary("depth=18,stem=imagenet,classes=1000").macs), 1.814e9, tolerance: 0.001e9)
        assertClose(Double(try summary("depth=110,shortcut=project").macs), 253.15e6, tolerance: 0.005e6)
    }
}
