// RewriteReport.swift: what a rewrite did, layer by layer: for people as text, for programs as JSON.
// Not here: any rewrite.
import RengaNetwork

/// What a rewrite did and did not do, and why.
public struct RewriteReport: Sendable, Equatable {
    /// What became of one layer.
    public enum Outcome: String, Sendable, CaseIterable {
        /// Its work is now done by another layer.
        case folded
        /// It did nothing and is gone.
        case removed
        /// It stands as it was, though the rewrite looked at it.
        case kept
    }

    /// One layer that the rewrite looked at.
    public struct Entry: Sendable, Equatable {
        /// The layer's name.
        public let layer: String
        /// What became of it.
        public let outcome: Outcome
        /// Where it went, or why it stayed.
        public let detail: String

        /// Says what became of a layer.
        public init(layer: String, outcome: Outcome, detail: String) {
            self.layer = layer
            self.outcome = outcome
            self.detail = detail
        }
    }

    /// The rewrite's name: "fold_batch_norm".
    public let rewrite: String
    /// The layers that it looked at, in the order of the network.
    public internal(set) var entries: [Entry] = []
    /// Layers before and after.
    public internal(set) var layersBefore = 0, layersAfter = 0

    /// Begins a report.
    public init(rewrite: String) { self.rewrite = rewrite }

    /// How many layers came to this end.
    public func count(_ outcome: Outcome) -> Int { entries.count { $0.outcome == outcome } }

    /// A line of totals, then a line for each layer.
    public var text: String {
        let totals = Outcome.allCases.map { "\(count($0)) \($0.rawValue)" }.joined(separator: ", ")
        let width = entries.map(\.layer.count).max() ?? 0
        let lines = entries.map { entry in
            let name = entry.layer + String(repeating: " ", count: width - entry.layer.count)
            return "  \(name)  \(entry.outcome.rawValue): \(entry.detail)\n"
        }
        return "\(rewrite): \(layersBefore) layers -> \(layersAfter); \(totals)\n" + lines.joined()
    }

    /// The same for programs: {"rewrite", "layers_before", "layers_after", "folded", "removed", "kept", "layers": [{"layer", "outcome",
    /// "detail"}]}.
    public var jsonText: String { json.description }

    /// The report as JSON.
    package var json: JSON {
        let counts = Outcome.allCases.map { JSON.Member($0.rawValue, .integer(count($0))) }
        let layers = entries.map { entry -> JSON in
            [
                "layer": .text(entry.layer), "outcome": .text(entry.outcome.rawValue),
                "detail": .text(entry.detail),
            ]
        }
        return .object(
            [
                .init("rewrite", .text(rewrite)), .init("layers_before", .integer(layersBefore)),
                .init("layers_after", .integer(layersAfter)),
            ] + counts + [.init("layers", .list(layers))])
    }
}
