// Network.swift: whole networks: made, loaded, saved, described, rewritten.
// Not here: their numbers one by one (Parameters.swift), layer by layer (Builder.swift).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
import CRengaAPI
import Renga
import RengaNetwork

@c @implementation
public func renga_network_clone(
    _ network: OpaquePointer!, _ out: UnsafeMutablePointer<OpaquePointer?>!
) -> renga_status {
    networkOut(out) { () throws(RengaError) in try object(network, "network", as: NetworkObject.self).value }
}

@c @implementation
public func renga_network_free(_ network: OpaquePointer!) {
    freeHandle(network, as: NetworkObject.self)
}

@c @implementation
public func renga_network_info_init(_ info: UnsafeMutablePointer<renga_network_info>!, _ size: Int) {
    prepare(info, size: size, defaults: renga_network_info())
}

@c @implementation
public func renga_network_get_info(
    _ network: OpaquePointer!, _ info: UnsafeMutablePointer<renga_network_info>!
) -> renga_status {
    guarded { () throws(RengaError) in
        try fill(info, "info") { () throws(RengaError) in
            let network = try object(network, "network", as: NetworkObject.self).value
            let shapes = try network.shapes(n: 1)
            var info = renga_network_info()
            info.parameters = Int64(network.trainableCount)
            info.macs = Int64(network.macs(shapes))
            info.layers = Int64(network.nodes.count)
            info.inputs = Int32(network.inputs.count)
            info.outputs = Int32(network.outputs.count)
            // Both exist: a network has at least one input and one output.
            if let first = shapes.first { info.input_shape = renga_shape(first) }
            if let first = network.outputs.first { info.output_shape = renga_shape(shapes[first]) }
            return info
        }
    }
}

/// Clears a network out-parameter, then fills it with a handle to what `body` makes.
func networkOut(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ body: () throws(RengaError) -> Network
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        out.pointee = try makeHandle(try NetworkObject(try body()))
    }
}
